"""Sessions in a folder of files. Only the import differs, and the folder can be chosen."""

import os

from flask import Flask, session

from holdfast.flask import Session

app = Flask(__name__)
app.debug = True
app.secret_key = "xxxx"

app.config["SESSION_TYPE"] = "filesystem"
app.config["SESSION_FILE_DIR"] = os.environ.get("SESSION_FILE_DIR", "/home/work/flask-session")
app.config["SESSION_FILE_THRESHOLD"] = 500
app.config["SESSION_FILE_MODE"] = 384
app.config["SESSION_PERMANENT"] = True
app.config["SESSION_USE_SIGNER"] = False
app.config["SESSION_KEY_PREFIX"] = "filesystem:"
Session(app)


@app.route("/index")
def index() -> str:
    session["k1"] = "v1"
    session["k2"] = "v1"
    return "xx"


@app.route("/k1")
def k1() -> str:
    return str(session.get("k1", "nothing"))


if __name__ == "__main__":
    app.run()
