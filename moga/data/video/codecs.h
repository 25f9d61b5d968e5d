// What this build reads and writes: FFmpeg's version and the codecs that it was built with.
#pragma once

#include <string>
#include <vector>

namespace moga {

struct VideoCodecs {
  std::string library;                    // "FFmpeg 5.1.6"; empty: built without, only .y4m
  bool writes_h264 = false;               // libx264, which MP4 files need
  std::vector<std::string> reads, lacks;  // of the usual codecs of films
};

VideoCodecs video_codecs();

}  // namespace moga
