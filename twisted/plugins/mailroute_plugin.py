"""Tells ``twistd`` that there is ``mailroute``; the module behind it is imported on use."""

from twisted.application.service import ServiceMaker

mailroute = ServiceMaker(
    "mailroute",
    "mailroute.tap",
    "Mail routing proxy for IMAP, POP3, submission and ManageSieve",
    "mailroute",
)
