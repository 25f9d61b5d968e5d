// Any video that FFmpeg can read → RGB, with the stream's own matrix and range (where it names none: BT.709 from 720
// lines on, else BT.601; limited), turned as the container asks. Reads to the last frame; a truncated or damaged file
// is an error, not a short video. Only containers that hold the video themselves: a playlist would lead to other files.
#include <ATen/ATen.h>

#include "moga/data/video/ffmpeg_input.h"
#include "moga/data/video/formats.h"

namespace moga {
namespace {

using ffmpeg::checked;
using ffmpeg::Owner;

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
    input_ = ffmpeg::open_input(source_, /*threads=*/1);
    packet_.reset(av_packet_alloc());
    frame_.reset(av_frame_alloc());
    turn_ = ffmpeg::turn_of(input_.stream, source_);
    width_ = input_.decoder->width;
    height_ = input_.decoder->height;
    const AVRational rate = av_guess_frame_rate(input_.container.get(), input_.stream, nullptr);
    info_ = {width_,
             height_,
             rate.den > 0 ? av_q2d(rate) : 0,
             input_.stream->nb_frames,
             {input_.tag("title"), input_.tag("comment"), input_.tag("encoder")}};
    if (turn_.transposed) std::swap(info_.width, info_.height);
    packets_listed_ = input_.packets_listed();
  }

  VideoInfo info() const override { return info_; }

  at::Tensor read(int64_t count) override {
    std::vector<at::Tensor> frames;
    while (static_cast<int64_t>(frames.size()) < count && next_frame()) frames.push_back(convert());
    return frames.empty() ? at::empty({0, 3, info_.height, info_.width}, at::kByte)
                          : at::stack(frames).permute({0, 3, 1, 2}).contiguous();
  }

 private:
  // Decodes into frame_; false at the end.
  bool next_frame() {
    for (;;) {
      const int code = avcodec_receive_frame(input_.decoder.get(), frame_.get());
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
    int code = av_read_frame(input_.container.get(), packet_.get());
    while (code >= 0 && packet_->stream_index != input_.stream->index) {
      av_packet_unref(packet_.get());
      code = av_read_frame(input_.container.get(), packet_.get());
    }
    if (code == AVERROR_EOF) {
      check(packets_ >= packets_listed_, source_, ": truncated: ", packets_, " of ", packets_listed_, " frames");
      checked(avcodec_send_packet(input_.decoder.get(), nullptr), source_, "damaged: decoding failed");
      return;
    }
    checked(code, source_, "damaged: reading failed");
    check(!(packet_->flags & AV_PKT_FLAG_CORRUPT), source_, ": truncated or damaged at frame ", packets_);
    ++packets_;
    code = avcodec_send_packet(input_.decoder.get(), packet_.get());
    av_packet_unref(packet_.get());
    checked(code, source_, "damaged: decoding failed");
  }

  at::Tensor convert() {  // frame_ → uint8 [Y, X, 3], turned
    if (!converter_) {
      bool full_range = frame_->color_range == AVCOL_RANGE_JPEG;
      const AVPixelFormat format = ffmpeg::without_range(static_cast<AVPixelFormat>(frame_->format), full_range);
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
  ffmpeg::Input input_;
  Owner<SwsContext> converter_;
  Owner<AVPacket> packet_;
  Owner<AVFrame> frame_;
  VideoInfo info_;                  // as displayed
  int64_t width_ = 0, height_ = 0;  // as stored
  ffmpeg::Turn turn_;
  int format_ = AV_PIX_FMT_NONE;  // of the frames; the converter is made for it
  int64_t packets_listed_ = 0, packets_ = 0, frames_ = 0;
};

}  // namespace

std::unique_ptr<VideoReader> open_with_ffmpeg(const std::filesystem::path& path) {
  return std::make_unique<FfmpegReader>(path);
}

}  // namespace moga
