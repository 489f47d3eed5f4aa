"""What ultrafeedback is called."""

ORDER = 2
