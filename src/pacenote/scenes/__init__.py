"""SUMO networks and traffic -> Scene; Scene and render passes -> truth and evidence."""
