// Any video that FFmpeg can read → RGB, with the stream's own matrix and range (where it names none: BT.709 from 720
// lines on, else BT.601; limited). Reads to the last frame; a truncated or damaged file is an error, not a short video.
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

class FfmpegReader : public VideoReader {
 public:
  explicit FfmpegReader(const std::filesystem::path& path) : source_(path.string()) {
    av_log_set_level(AV_LOG_FATAL);
    open_container();
    open_decoder();
    packet_.reset(av_packet_alloc());
    frame_.reset(av_frame_alloc());
    const AVRational rate = av_guess_frame_rate(container_.get(), stream_, nullptr);
    info_ = {decoder_->width, decoder_->height, rate.den > 0 ? av_q2d(rate) : 0, stream_->nb_frames};
    // The index of an MP4 lists every packet, so a file that was cut off is noticed by what is missing.
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
    checked(avformat_open_input(&container, ("file:" + source_).c_str(), nullptr, nullptr), source_,
            "not a video that FFmpeg can read, or truncated");
    container_.reset(container);
    checked(avformat_find_stream_info(container, nullptr), source_, "cannot read the streams");
  }

  void open_decoder() {
    const AVCodec* codec = nullptr;
    const int index = av_find_best_stream(container_.get(), AVMEDIA_TYPE_VIDEO, -1, -1, &codec, 0);
    check(index != AVERROR_STREAM_NOT_FOUND, source_, ": holds no video stream");
    checked(index, source_, "no decoder for its video stream");
    stream_ = container_->streams[index];
    decoder_.reset(avcodec_alloc_context3(codec));
    checked(avcodec_parameters_to_context(decoder_.get(), stream_->codecpar), source_, "cannot read the stream");
    decoder_->pkt_timebase = stream_->time_base;
    checked(avcodec_open2(decoder_.get(), codec, nullptr), source_, "cannot open the decoder");
    check(decoder_->width > 0 && decoder_->height > 0, source_, ": the video stream has no size, or is truncated");
  }

  // Decodes into frame_; false at the end.
  bool next_frame() {
    for (;;) {
      const int code = avcodec_receive_frame(decoder_.get(), frame_.get());
      if (code == AVERROR_EOF) return false;
      if (code != AVERROR(EAGAIN)) {
        checked(code, source_, "damaged: decoding failed");
        check(frame_->width == info_.width && frame_->height == info_.height, source_, ": frame ", frames_,
              " changes size from ", info_.width, "x", info_.height, " to ", frame_->width, "x", frame_->height);
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

  at::Tensor convert() {  // frame_ → uint8 [Y, X, 3]
    if (!converter_) {
      bool full_range = frame_->color_range == AVCOL_RANGE_JPEG;
      const AVPixelFormat format = without_range(static_cast<AVPixelFormat>(frame_->format), full_range);
      converter_ =
          ffmpeg::make_converter(info_.width, info_.height, format, AV_PIX_FMT_RGB24, matrix_of(*frame_), full_range);
    }
    const at::Tensor pixels = at::empty({info_.height, info_.width, 3}, at::kByte);
    uint8_t* rows[] = {pixels.data_ptr<uint8_t>()};
    const int stride[] = {static_cast<int>(3 * info_.width)};
    sws_scale(converter_.get(), frame_->data, frame_->linesize, 0, frame_->height, rows, stride);
    return pixels;
  }

  std::string source_;
  std::unique_ptr<AVFormatContext, CloseInput> container_;
  AVStream* stream_ = nullptr;
  Owner<AVCodecContext> decoder_;
  Owner<SwsContext> converter_;
  Owner<AVPacket> packet_;
  Owner<AVFrame> frame_;
  VideoInfo info_;
  int format_ = AV_PIX_FMT_NONE;  // of the frames; the converter is made for it
  int64_t packets_listed_ = 0, packets_ = 0, frames_ = 0;
};

}  // namespace

std::unique_ptr<VideoReader> open_with_ffmpeg(const std::filesystem::path& path) {
  return std::make_unique<FfmpegReader>(path);
}

}  // namespace moga
