"""Ready parts for applications: the devices page, the operator's page and the doctor."""
