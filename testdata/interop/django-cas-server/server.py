"""Serves django-cas-server on ADDRESS (server.py ADDRESS), with a new database in $INTEROP_RUN."""

import os
import re
import socketserver
import sys
from wsgiref.simple_server import WSGIServer, make_server

import django
from django.conf import settings
from django.core.management import call_command
from django.core.wsgi import get_wsgi_application
from django.urls import include, path

CONTEXT = "django.template.context_processors.request", "django.contrib.auth.context_processors.auth", \
    "django.contrib.messages.context_processors.messages"
settings.configure(
    SECRET_KEY="interoperability tests only",
    ALLOWED_HOSTS=["*"],
    ROOT_URLCONF=__name__,
    INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes", "django.contrib.sessions",
                    "django.contrib.messages", "django.contrib.staticfiles", "cas_server"],
    MIDDLEWARE=["django.contrib.sessions.middleware.SessionMiddleware",
                "django.middleware.common.CommonMiddleware",
                "django.middleware.csrf.CsrfViewMiddleware",
                "django.contrib.auth.middleware.AuthenticationMiddleware",
                "django.contrib.messages.middleware.MessageMiddleware",
                "django.middleware.locale.LocaleMiddleware"],
    TEMPLATES=[{"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True,
                "OPTIONS": {"context_processors": CONTEXT}}],
    # Threads write at the same time: without a timeout SQLite refuses the second one at once.
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "OPTIONS": {"timeout": 20},
                           "NAME": os.path.join(os.environ["INTEROP_RUN"], "db.sqlite3")}},
    DEFAULT_AUTO_FIELD="django.db.models.AutoField",
    USE_TZ=True,
    STATIC_URL="/static/",
    CAS_AUTH_CLASS="people.Person",
    CAS_TICKET_VALIDITY=60,
    CAS_NEW_VERSION_HTML_WARNING=False,  # both would ask the network
    CAS_NEW_VERSION_EMAIL_WARNING=False,
    CAS_PROXY_CA_CERTIFICATE_PATH=False,  # clients with certificates of their own making
)
django.setup()
call_command("migrate", verbosity=0)
urlpatterns = [path("cas/", include("cas_server.urls", namespace="cas_server"))]

from cas_server.models import ReplaceAttributName, ServicePattern  # noqa: E402  (only after setup)

clients = "^(%s)" % "|".join(re.escape(c) for c in os.environ["INTEROP_CLIENTS"].split())
for position, (name, prefix, told, options) in enumerate([
    ("byid", "/byid/", ["login"], {"user_field": "idPronote"}),
    ("pronote", "/", ["*"], {}),
]):
    pattern = ServicePattern.objects.create(
        pos=position, name=name, pattern=clients + prefix, single_log_out=True, **options)
    for attribute in told:
        ReplaceAttributName.objects.create(name=attribute, replace="", service_pattern=pattern)


class Server(socketserver.ThreadingMixIn, WSGIServer):
    daemon_threads = True
    request_queue_size = 64


host, port = sys.argv[1].split(":")
make_server(host, int(port), get_wsgi_application(), Server).serve_forever()
