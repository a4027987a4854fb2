"""ASGI middleware, and checks that apply to every route."""
