"""The OpenAPI document, completed beyond what FastAPI generates."""
