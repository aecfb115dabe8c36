"""The library: data, structure, rewards, training, evaluation and reporting, without Prefect or MLflow."""
