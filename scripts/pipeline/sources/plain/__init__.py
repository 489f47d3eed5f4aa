"""Datasets that are pairs already."""
