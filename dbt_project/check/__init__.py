"""`python -m dbt_project.check`: what a folder of receipts would become, before any build."""
