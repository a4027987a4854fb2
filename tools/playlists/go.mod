module sample-playlists

go 1.21

require github.com/grafov/m3u8 v0.12.1
