import os

SECRET_KEY = os.environ["BROKEN_SECRET_KEY"]
