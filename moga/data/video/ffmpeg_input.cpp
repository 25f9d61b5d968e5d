// Opening a video file with FFmpeg. See ffmpeg_input.h.
#include "moga/data/video/ffmpeg_input.h"

#include <cstring>

#include "moga/core/files.h"

namespace moga::ffmpeg {
namespace {

// Demuxers that read the one file that they are given, by FFmpeg's names.
constexpr const char* kContainers =
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpeg,mpegvideo,flv,live_flv,asf,ogg,gif,yuv4mpegpipe,mxf,nut,ivf,"
    "h264,hevc,obu,m4v,mjpeg,dv,wtv";

void open_container(Input& input, const std::string& source) {
  check_regular_file(source);  // a pipe never ends
  AVFormatContext* container = nullptr;
  AVDictionary* options = nullptr;
  av_dict_set(&options, "format_whitelist", kContainers, 0);
  av_dict_set(&options, "protocol_whitelist", "file", 0);
  const int code = avformat_open_input(&container, ("file:" + source).c_str(), nullptr, &options);
  av_dict_free(&options);
  check(code != AVERROR(EINVAL), source, ": not a video file; playlists and lists of files are not followed");
  checked(code, source, "not a video that FFmpeg can read, or truncated");
  input.container.reset(container);
  checked(avformat_find_stream_info(container, nullptr), source, "cannot read the streams");
}

void open_decoder(Input& input, const std::string& source, int threads) {
  const AVCodec* codec = nullptr;
  const int index = av_find_best_stream(input.container.get(), AVMEDIA_TYPE_VIDEO, -1, -1, &codec, 0);
  check(index != AVERROR_STREAM_NOT_FOUND, source, ": contains no video stream");
  checked(index, source, "no decoder for its video stream");
  input.stream = input.container->streams[index];
  check(!(input.stream->disposition & AV_DISPOSITION_ATTACHED_PIC), source,
        ": contains no video stream, only a cover picture");
  input.decoder.reset(avcodec_alloc_context3(codec));
  checked(avcodec_parameters_to_context(input.decoder.get(), input.stream->codecpar), source, "cannot read the stream");
  input.decoder->pkt_timebase = input.stream->time_base;
  input.decoder->thread_count = threads;
  checked(avcodec_open2(input.decoder.get(), codec, nullptr), source, "cannot open the decoder");
  check(input.decoder->width > 0 && input.decoder->height > 0, source,
        ": the video stream has no size, or is truncated");
}

}  // namespace

Input open_input(const std::string& source, int threads) {
  av_log_set_level(AV_LOG_FATAL);
  Input input;
  open_container(input, source);
  open_decoder(input, source, threads);
  return input;
}

std::string Input::tag(const char* key) const {
  const AVDictionaryEntry* entry = av_dict_get(container->metadata, key, nullptr, 0);
  return entry ? entry->value : "";
}

int64_t Input::packets_listed() const {
  return std::strstr(container->iformat->name, "mp4") ? avformat_index_get_entries_count(stream) : 0;
}

// The display matrix maps stored (x, y) to (a x + c y, b x + d y); a turn by 90 degrees has a = d = 0.
Turn turn_of(AVStream* stream, const std::string& source) {
  const auto* matrix =
      reinterpret_cast<const int32_t*>(av_stream_get_side_data(stream, AV_PKT_DATA_DISPLAYMATRIX, nullptr));
  if (!matrix) return {};
  const int64_t a = matrix[0], b = matrix[1], c = matrix[3], d = matrix[4];
  const bool straight = a != 0 && d != 0 && b == 0 && c == 0, transposed = a == 0 && d == 0 && b != 0 && c != 0;
  check(straight || transposed, source, ": asks for a rotation that is not a multiple of 90 degrees");
  return straight ? Turn{false, a < 0, d < 0} : Turn{true, c < 0, b < 0};
}

AVPixelFormat without_range(AVPixelFormat format, bool& full_range) {
  const std::pair<AVPixelFormat, AVPixelFormat> pairs[] = {{AV_PIX_FMT_YUVJ420P, AV_PIX_FMT_YUV420P},
                                                           {AV_PIX_FMT_YUVJ422P, AV_PIX_FMT_YUV422P},
                                                           {AV_PIX_FMT_YUVJ440P, AV_PIX_FMT_YUV440P},
                                                           {AV_PIX_FMT_YUVJ444P, AV_PIX_FMT_YUV444P}};
  for (const auto& [deprecated, plain] : pairs)
    if (format == deprecated) {
      full_range = true;
      return plain;
    }
  return format;
}

}  // namespace moga::ffmpeg
