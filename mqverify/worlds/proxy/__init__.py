"""A proxy before real brokers, which all that workers and brokers send each other passes where a fault meddles with it.

Workers come to it as to any HTTP CONNECT proxy (RFC 9110 §9.3.6): by its URL the client library is told to use it, the
worker is known by its user name, the broker by the address that is asked for, whatever brokers advertise. It is no open
proxy: it listens on the loopback alone, wants the run's own password, and leads to the run's own brokers only.
"""

from mqverify.worlds.proxy.server import Proxy

__all__ = ["Proxy"]
