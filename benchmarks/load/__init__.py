"""N live streams through the whole stack at real-time pace, and what one of them costs."""
