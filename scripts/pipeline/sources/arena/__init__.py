"""Chatbot Arena."""
