// See codecs.h.
#include "moga/data/video/codecs.h"

#ifdef MOGA_FFMPEG
#include "moga/data/video/ffmpeg.h"
#endif

namespace moga {

#ifdef MOGA_FFMPEG
VideoCodecs video_codecs() {
  VideoCodecs codecs;
  codecs.library = std::string("FFmpeg ") + av_version_info();
  codecs.writes_h264 = avcodec_find_encoder_by_name("libx264") != nullptr;
  for (const char* name : {"h264", "hevc", "av1", "vp8", "vp9", "mpeg4", "mpeg2video", "prores", "dnxhd", "mjpeg"})
    (avcodec_find_decoder_by_name(name) ? codecs.reads : codecs.lacks).emplace_back(name);
  return codecs;
}
#else
VideoCodecs video_codecs() { return {}; }
#endif

}  // namespace moga
