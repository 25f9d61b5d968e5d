// Private to moga/data: RAII owners of FFmpeg's objects, and its error messages.
#pragma once

extern "C" {
#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <libavutil/error.h>
#include <libavutil/opt.h>
#include <libswscale/swscale.h>
}

#include <memory>
#include <string>

#include "moga/core/check.h"

namespace moga::ffmpeg {

struct Deleter {
  void operator()(AVCodecContext* context) const { avcodec_free_context(&context); }
  void operator()(AVFrame* frame) const { av_frame_free(&frame); }
  void operator()(AVPacket* packet) const { av_packet_free(&packet); }
  void operator()(SwsContext* context) const { sws_freeContext(context); }
};
template <class T>
using Owner = std::unique_ptr<T, Deleter>;

inline std::string error_text(int code) {
  char text[AV_ERROR_MAX_STRING_SIZE] = {};
  av_strerror(code, text, sizeof text);
  return text;
}

// Throws "<source>: <doing>: <FFmpeg's message>" for a negative return code; returns others.
inline int checked(int code, const std::string& source, const char* doing) {
  check(code >= 0, source, ": ", doing, ": ", error_text(code));
  return code;
}

// A scaler of the same size that converts between `rgb24` and a YUV format with the given matrix (SWS_CS_*) and
// range. Chroma samples are at the left, between two lines, as in MPEG-2 and H.264.
inline Owner<SwsContext> make_converter(int64_t width, int64_t height, AVPixelFormat from, AVPixelFormat to, int matrix,
                                        bool full_range) {
  Owner<SwsContext> scaler(sws_alloc_context());
  const auto set = [&](const char* option, int64_t value) { av_opt_set_int(scaler.get(), option, value, 0); };
  set("srcw", width);
  set("srch", height);
  set("dstw", width);
  set("dsth", height);
  set("src_format", from);
  set("dst_format", to);
  set("sws_flags", SWS_BICUBIC | SWS_ACCURATE_RND | SWS_FULL_CHR_H_INT | SWS_FULL_CHR_H_INP);
  set(to == AV_PIX_FMT_RGB24 ? "src_h_chr_pos" : "dst_h_chr_pos", 0);
  const bool encoding = from == AV_PIX_FMT_RGB24;
  const int* table = sws_getCoefficients(matrix);
  sws_setColorspaceDetails(scaler.get(), table, encoding || full_range, table, !encoding || full_range, 0, 1 << 16,
                           1 << 16);
  check(sws_init_context(scaler.get(), nullptr, nullptr) >= 0, "swscale cannot convert pixel format ", int{from},
        " to ", int{to});
  return scaler;
}

}  // namespace moga::ffmpeg
