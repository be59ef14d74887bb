"""All drivers, for direct mode and the other commands of an operator."""

from rollback.drivers.drivers import Drivers
from rollback.drivers.github import make_github
from rollback.drivers.http import make_http
from rollback.drivers.neon import make_neon
from rollback.drivers.sql import make_sql
from rollback.drivers.webhooks import make_webhooks

ALL_DRIVERS = Drivers(http=make_http, webhooks=make_webhooks, neon=make_neon, github=make_github, sql=make_sql)
