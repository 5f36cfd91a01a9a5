"""Removes topics and consumer groups, and says what could not be."""

import time
from collections.abc import Collection, Sequence
from typing import Any

__all__ = ["remove_groups", "remove_topics"]

_GONE = {0, 3}
"""Error codes of DeleteTopics: none, and that there is no such topic."""
_GONE_GROUPS = {"OK", "GroupIdNotFoundError"}
_TRIES = 10
_PAUSE_SECONDS = 0.3


def remove_topics(admin: Any, names: Collection[str]) -> list[str]:
    """Those that are still there, each with the reason."""
    if not names:
        return []
    from kafka import errors

    name_of: Any = errors.for_code
    answer = admin.delete_topics(list(names), raise_errors=False)
    return [
        f"{topic['name']} ({name_of(topic['error_code']).__name__})"
        for topic in answer["topics"]
        if topic["error_code"] not in _GONE
    ]


def remove_groups(admin: Any, names: Collection[str]) -> list[str]:
    """Those that are still there, each with the reason; their committed offsets go with them.

    Members that were killed stay in a group until their session is over, so they are made to leave first.
    """
    left = dict.fromkeys(names, "")
    for attempt in range(_TRIES):
        if not left:
            break
        if attempt:
            time.sleep(_PAUSE_SECONDS)
        answers = admin.delete_groups(list(left))
        left = {name: answer for name, answer in answers.items() if answer not in _GONE_GROUPS}
        for name in [name for name, answer in left.items() if answer == "NonEmptyGroupError"]:
            _empty(admin, name)
    return [f"{name} ({why})" for name, why in left.items()]


def _empty(admin: Any, group: str) -> None:
    from kafka.admin import MemberToRemove

    make: Any = MemberToRemove
    members: Sequence[Any] = admin.describe_groups([group])[group]["members"]
    admin.remove_group_members(
        group,
        [
            make(group_instance_id=member["group_instance_id"])
            if member.get("group_instance_id")
            else make(member_id=member["member_id"])
            for member in members
        ],
    )
