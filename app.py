"""The face: every route and every Lambda function of Enishi, two lines each; no logic (docs/architecture.md)."""

from typing import Any

from chalice.app import Chalice

from chalicelib.entrypoints import guard, identity_callback, line_webhook, public, public_hooks, public_site
from chalicelib.entrypoints.admin_api import routes as admin_api
from chalicelib.wiring import world

app = Chalice(app_name="enishi", configure_logs=False)
app.api.binary_types = []  # everything is text; a binary type would hang on the Accept header of every caller
guard.watch(app)
app.register_blueprint(line_webhook.routes)
app.register_blueprint(public.routes)
app.register_blueprint(public_hooks.routes)
app.register_blueprint(public_site.routes)
app.register_blueprint(identity_callback.routes)
app.register_blueprint(admin_api.blueprint)


# Declared here and not in blueprints: a blueprint's Lambda function would skip this file (aws/chalice#1566).
@app.lambda_function(name="webhook_worker")
def webhook_worker(event: Any, context: Any) -> Any:
    """SQS: webhooks and visits."""
    from chalicelib.entrypoints import webhook_worker as door

    return door.handle(event, world())


@app.lambda_function(name="work_worker")
def work_worker(event: Any, context: Any) -> Any:
    """SQS: imports, campaigns, scenario entries."""
    from chalicelib.entrypoints import workers as door

    return door.handle(event, world())


@app.lambda_function(name="scenario_steps")
def scenario_steps(event: Any, context: Any) -> Any:
    """Step Functions: cohorts."""
    from chalicelib.entrypoints import scenario_steps as door

    return door.handle(event, world())


@app.lambda_function(name="ticks")
def ticks(event: Any, context: Any) -> Any:
    """EventBridge Scheduler: campaigns, daily entries, the hourly reconciler."""
    from chalicelib.entrypoints import workers as door

    return door.tick(event, world())


@app.lambda_function(name="feedback")
def feedback(event: Any, context: Any) -> Any:
    """SQS: what SES tells about our e-mail, through SNS."""
    from chalicelib.entrypoints import feedback as door

    return door.handle(event, world())


@app.lambda_function(name="lake_feeder")
def lake_feeder(event: Any, context: Any) -> Any:
    """DynamoDB streams: what changed, for the lake."""
    from chalicelib.entrypoints import lake_feeder as door

    return door.handle(event, world())


@app.lambda_function(name="lake_keeper")
def lake_keeper(event: Any, context: Any) -> Any:
    """EventBridge Scheduler, every minute: folds what has come into the lake, goes on with its rebuild."""
    from chalicelib.entrypoints import lake_keeper as door

    return door.handle(event, world())


@app.lambda_function(name="lake_query")
def lake_query(event: Any, context: Any) -> Any:
    """Other functions of ours: what they ask the lake."""
    from chalicelib.entrypoints import lake_query as door

    return door.handle(event, world())
