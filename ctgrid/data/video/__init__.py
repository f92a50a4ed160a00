"""Video clips: published folder layouts, frames, grids of them, and movies out."""

from __future__ import annotations

from ctgrid.data.video.clips import Clip, CoarseClips
from ctgrid.data.video.datasets import Minecraft, SkyTimelapse, Taichi, VideoFolder, VideoGrids
from ctgrid.data.video.layouts import LAYOUTS, Layout, find_clips
from ctgrid.data.video.read import FrameFolder, VideoFile, open_frames
from ctgrid.data.video.reader import FrameReader
from ctgrid.data.video.write import VIDEO_SUFFIXES, open_movie, write_video

__all__ = [
    "LAYOUTS",
    "VIDEO_SUFFIXES",
    "Clip",
    "CoarseClips",
    "FrameFolder",
    "FrameReader",
    "Layout",
    "Minecraft",
    "SkyTimelapse",
    "Taichi",
    "VideoFile",
    "VideoFolder",
    "VideoGrids",
    "find_clips",
    "open_frames",
    "open_movie",
    "write_video",
]
