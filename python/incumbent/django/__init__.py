"""Django: ``manage.py lead NAME COMMAND`` and a cache with locks.

::

    INSTALLED_APPS = [..., "incumbent.django"]
    INCUMBENT = {"STORE": "redis://db"}         # the options of the command, in capitals
"""
