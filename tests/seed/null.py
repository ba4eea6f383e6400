"""The extension with Flask's own signed cookie."""

from flask import Flask, session

from holdfast.flask import Session

app = Flask(__name__)
app.config.update(SECRET_KEY="123", SESSION_TYPE="null")
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
