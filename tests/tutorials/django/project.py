"""The settings of the tutorial, and the few others that a project has to have."""

from shop.settings import *  # noqa: F401,F403

SECRET_KEY = "of a test that serves nobody"
INSTALLED_APPS = ["orders"]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = True
