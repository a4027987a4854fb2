"""HLS, ffmpeg and PyAV."""
