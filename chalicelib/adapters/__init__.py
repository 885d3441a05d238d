"""One implementation per port, under the port's file name; with wiring the only importers of boto3 and linebot."""
