"""Sessions in Redis, the token signed. Only the import differs, and the server can be chosen."""

import os

import redis
from flask import Flask, session

from holdfast.flask import Session

app = Flask(__name__)
app.config["SECRET_KEY"] = "123"
app.config["SESSION_USE_SIGNER"] = True
app.config["SESSION_TYPE"] = "redis"
app.config["SESSION_REDIS"] = redis.StrictRedis(host="127.0.0.1", port=int(os.environ.get("REDIS", "6390")), db=4)
app.config["PERMANENT_SESSION_LIFETIME"] = 7200
app.config["SESSION_KEY_PREFIX"] = "redis:"
Session(app)


@app.route("/index")
def index() -> str:
    session["k1"] = "v1"
    return "xx"


@app.route("/k1")
def k1() -> str:
    return str(session.get("k1", "nothing"))


if __name__ == "__main__":
    app.run()
