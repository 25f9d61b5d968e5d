// Any video that FFmpeg can read → RGB, with the stream's own matrix and range (where it names none: BT.709 from 720
// lines on, else BT.601; limited), turned as the container asks. Reads to the last frame; a truncated or damaged file
// is an error, not a short video. Only containers that hold the video themselves: a playlist would lead to other files.
#include <ATen/ATen.h>

#include <cstring>

#include "moga/data/video/ffmpeg.h"
#include "moga/data/video/formats.h"

namespace moga {
namespace {

using ffmpeg::checked;
using ffmpeg::Owner;

// swscale's deprecated yuvj formats are the plain ones in full range.
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

int matrix_of(const AVFrame& frame) {
  switch (frame.colorspace) {
    case AVCOL_SPC_BT709:
      return SWS_CS_ITU709;
    case AVCOL_SPC_BT470BG:
    case AVCOL_SPC_SMPTE170M:
      return SWS_CS_ITU601;
    case AVCOL_SPC_SMPTE240M:
      return SWS_CS_SMPTE240M;
    case AVCOL_SPC_FCC:
      return SWS_CS_FCC;
    case AVCOL_SPC_BT2020_NCL:
    case AVCOL_SPC_BT2020_CL:
      return SWS_CS_BT2020;
    default:
      return is_bt709_by_height(frame.height) ? SWS_CS_ITU709 : SWS_CS_ITU601;
  }
}

// Demuxers that read the one file that they are given, by FFmpeg's names.
constexpr const char* kContainers =
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpeg,mpegvideo,flv,live_flv,asf,ogg,gif,yuv4mpegpipe,mxf,nut,ivf,"
    "h264,hevc,obu,m4v,mjpeg,dv,wtv";

// How stored pixels are turned for display: transposed first, then flipped.
struct Turn {
  bool transposed = false, flip_x = false, flip_y = false;
};

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

class FfmpegReader : public VideoReader {
 public:
  explicit FfmpegReader(const std::filesystem::path& path) : source_(path.string()) {
    av_log_set_level(AV_LOG_FATAL);
    open_container();
    open_decoder();
    packet_.reset(av_packet_alloc());
    frame_.reset(av_frame_alloc());
    turn_ = turn_of(stream_, source_);
    width_ = decoder_->width;
    height_ = decoder_->height;
    const AVRational rate = av_guess_frame_rate(container_.get(), stream_, nullptr);
    info_ = {width_,
             height_,
             rate.den > 0 ? av_q2d(rate) : 0,
             stream_->nb_frames,
             {tag("title"), tag("comment"), tag("encoder")}};
    if (turn_.transposed) std::swap(info_.width, info_.height);
    // The index of an MP4 lists every packet, so a truncated file is recognised by missing packets.
    if (std::strstr(container_->iformat->name, "mp4")) packets_listed_ = avformat_index_get_entries_count(stream_);
  }

  VideoInfo info() const override { return info_; }

  at::Tensor read(int64_t count) override {
    std::vector<at::Tensor> frames;
    while (static_cast<int64_t>(frames.size()) < count && next_frame()) frames.push_back(convert());
    return frames.empty() ? at::empty({0, 3, info_.height, info_.width}, at::kByte)
                          : at::stack(frames).permute({0, 3, 1, 2}).contiguous();
  }

 private:
  struct CloseInput {
    void operator()(AVFormatContext* container) const { avformat_close_input(&container); }
  };

  void open_container() {
    AVFormatContext* container = nullptr;
    AVDictionary* options = nullptr;
    av_dict_set(&options, "format_whitelist", kContainers, 0);
    av_dict_set(&options, "protocol_whitelist", "file", 0);
    const int code = avformat_open_input(&container, ("file:" + source_).c_str(), nullptr, &options);
    av_dict_free(&options);
    check(code != AVERROR(EINVAL), source_, ": not a video file; playlists and lists of files are not followed");
    checked(code, source_, "not a video that FFmpeg can read, or truncated");
    container_.reset(container);
    checked(avformat_find_stream_info(container, nullptr), source_, "cannot read the streams");
  }

  void open_decoder() {
    const AVCodec* codec = nullptr;
    const int index = av_find_best_stream(container_.get(), AVMEDIA_TYPE_VIDEO, -1, -1, &codec, 0);
    check(index != AVERROR_STREAM_NOT_FOUND, source_, ": contains no video stream");
    checked(index, source_, "no decoder for its video stream");
    stream_ = container_->streams[index];
    decoder_.reset(avcodec_alloc_context3(codec));
    checked(avcodec_parameters_to_context(decoder_.get(), stream_->codecpar), source_, "cannot read the stream");
    decoder_->pkt_timebase = stream_->time_base;
    checked(avcodec_open2(decoder_.get(), codec, nullptr), source_, "cannot open the decoder");
    check(decoder_->width > 0 && decoder_->height > 0, source_, ": the video stream has no size, or is truncated");
  }

  std::string tag(const char* key) const {
    const AVDictionaryEntry* entry = av_dict_get(container_->metadata, key, nullptr, 0);
    return entry ? entry->value : "";
  }

  // Decodes into frame_; false at the end.
  bool next_frame() {
    for (;;) {
      const int code = avcodec_receive_frame(decoder_.get(), frame_.get());
      if (code == AVERROR_EOF) return false;
      if (code != AVERROR(EAGAIN)) {
        checked(code, source_, "damaged: decoding failed");
        check(frame_->width == width_ && frame_->height == height_, source_, ": frame ", frames_, " changes size from ",
              width_, "x", height_, " to ", frame_->width, "x", frame_->height);
        if (frames_ == 0) format_ = frame_->format;
        check(frame_->format == format_, source_, ": frame ", frames_, " changes its pixel format");
        ++frames_;
        return true;
      }
      send_packet();
    }
  }

  void send_packet() {
    int code = av_read_frame(container_.get(), packet_.get());
    while (code >= 0 && packet_->stream_index != stream_->index) {
      av_packet_unref(packet_.get());
      code = av_read_frame(container_.get(), packet_.get());
    }
    if (code == AVERROR_EOF) {
      check(packets_ >= packets_listed_, source_, ": truncated: ", packets_, " of ", packets_listed_, " frames");
      checked(avcodec_send_packet(decoder_.get(), nullptr), source_, "damaged: decoding failed");
      return;
    }
    checked(code, source_, "damaged: reading failed");
    check(!(packet_->flags & AV_PKT_FLAG_CORRUPT), source_, ": truncated or damaged at frame ", packets_);
    ++packets_;
    code = avcodec_send_packet(decoder_.get(), packet_.get());
    av_packet_unref(packet_.get());
    checked(code, source_, "damaged: decoding failed");
  }

  at::Tensor convert() {  // frame_ → uint8 [Y, X, 3], turned
    if (!converter_) {
      bool full_range = frame_->color_range == AVCOL_RANGE_JPEG;
      const AVPixelFormat format = without_range(static_cast<AVPixelFormat>(frame_->format), full_range);
      converter_ = ffmpeg::make_converter(width_, height_, format, AV_PIX_FMT_RGB24, matrix_of(*frame_), full_range);
    }
    at::Tensor pixels = at::empty({height_, width_, 3}, at::kByte);
    uint8_t* rows[] = {pixels.data_ptr<uint8_t>()};
    const int stride[] = {static_cast<int>(3 * width_)};
    sws_scale(converter_.get(), frame_->data, frame_->linesize, 0, frame_->height, rows, stride);
    if (turn_.transposed) pixels = pixels.transpose(0, 1);
    if (turn_.flip_x) pixels = pixels.flip(1);
    if (turn_.flip_y) pixels = pixels.flip(0);
    return pixels;
  }

  std::string source_;
  std::unique_ptr<AVFormatContext, CloseInput> container_;
  AVStream* stream_ = nullptr;
  Owner<AVCodecContext> decoder_;
  Owner<SwsContext> converter_;
  Owner<AVPacket> packet_;
  Owner<AVFrame> frame_;
  VideoInfo info_;                  // as displayed
  int64_t width_ = 0, height_ = 0;  // as stored
  Turn turn_;
  int format_ = AV_PIX_FMT_NONE;  // of the frames; the converter is made for it
  int64_t packets_listed_ = 0, packets_ = 0, frames_ = 0;
};

}  // namespace

std::unique_ptr<VideoReader> open_with_ffmpeg(const std::filesystem::path& path) {
  return std::make_unique<FfmpegReader>(path);
}

}  // namespace moga
