"""What every module of a folder of plug-ins promises, found by looking into the folder."""
