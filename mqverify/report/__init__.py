"""Reports: a file each, which listens to the events of a check. Importing this imports nothing heavy."""

from mqverify.report.delivery import Report, deliver
from mqverify.report.files import FORMATS, open_reports
from mqverify.report.standard import standard_reports

__all__ = ["FORMATS", "Report", "deliver", "open_reports", "standard_reports"]
