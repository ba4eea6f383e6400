"""Sessions in memcached. Only the import differs, and the server can be chosen."""

import os

import memcache
from flask import Flask, session

from holdfast.flask import Session

app = Flask(__name__)
app.debug = True
app.secret_key = "xxxx"

app.config["SESSION_TYPE"] = "memcached"
app.config["SESSION_PERMANENT"] = True
app.config["SESSION_USE_SIGNER"] = False
app.config["SESSION_KEY_PREFIX"] = "memcached:"
app.config["SESSION_MEMCACHED"] = memcache.Client([os.environ.get("MEMCACHED", "127.0.0.1:12000")])
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
