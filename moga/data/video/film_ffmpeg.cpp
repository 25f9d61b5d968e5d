// Films through FFmpeg's libraries. A frame goes decoder → deinterlacer (bwdif, interlaced frames only) → crop, scale
// and RGB when its pixels are asked for. HDR and BT.2020 colours pass through linear light (zscale, tonemap).
#include <ATen/ATen.h>

#include <cmath>
#include <limits>
#include <optional>

#include "moga/core/format.h"
#include "moga/data/video/ffmpeg_input.h"
#include "moga/data/video/film.h"
#include "moga/data/video/film_graph.h"
#include "moga/data/video/formats.h"

extern "C" {
#include <libavutil/pixdesc.h>
}

namespace moga {
namespace {

using ffmpeg::checked;
using ffmpeg::Owner;

constexpr int kFirstFrames = 12;        // that tell whether a film is interlaced
constexpr int64_t kMostDamaged = 1000;  // in a row, after which the rest of a film is given up
constexpr double kMissing = 0.5;        // seconds that a file may lack of the duration in its header
constexpr double kNever = std::numeric_limits<double>::infinity();

bool is_hdr(AVColorTransferCharacteristic transfer) {
  return transfer == AVCOL_TRC_SMPTE2084 || transfer == AVCOL_TRC_ARIB_STD_B67;
}

const char* or_unknown(const char* name) { return name ? name : "unknown"; }

// swscale's name of the matrix; where the film names none: BT.709 from 720 lines on, else BT.601.
const char* matrix_name(const AVFrame& frame) {
  switch (frame.colorspace) {
    case AVCOL_SPC_BT709:
      return "bt709";
    case AVCOL_SPC_BT470BG:
    case AVCOL_SPC_SMPTE170M:
      return "smpte170m";
    case AVCOL_SPC_SMPTE240M:
      return "smpte240m";
    case AVCOL_SPC_FCC:
      return "fcc";
    case AVCOL_SPC_BT2020_NCL:
    case AVCOL_SPC_BT2020_CL:
      return "bt2020";
    default:
      return is_bt709_by_height(frame.height) ? "bt709" : "smpte170m";
  }
}

// BT.2020 and HDR → BT.709 through linear light; empty for others.
std::string to_bt709(const AVFrame& frame) {
  if (!is_hdr(frame.color_trc) && frame.color_primaries != AVCOL_PRI_BT2020) return "";
  const char* transfer = frame.color_trc == AVCOL_TRC_SMPTE2084      ? "smpte2084"
                         : frame.color_trc == AVCOL_TRC_ARIB_STD_B67 ? "arib-std-b67"
                                                                     : "bt709";
  const bool full = frame.color_range == AVCOL_RANGE_JPEG;
  return formatted("zscale=matrixin=%s:transferin=%s:primariesin=%s:rangein=%s:transfer=linear:npl=100,",
                   frame.colorspace == AVCOL_SPC_BT709 ? "709" : "2020_ncl", transfer,
                   frame.color_primaries == AVCOL_PRI_BT709 ? "709" : "2020", full ? "full" : "limited") +
         "format=gbrpf32le,zscale=primaries=709," + (is_hdr(frame.color_trc) ? "tonemap=hable:desat=0," : "") +
         "zscale=transfer=709:matrix=709:range=limited,format=yuv444p,";
}

struct Size {
  int64_t width = 0, height = 0;
};

double pixel_aspect(const ffmpeg::Input& input) {
  const AVRational ratio = av_guess_sample_aspect_ratio(input.container.get(), input.stream, nullptr);
  return ratio.num > 0 && ratio.den > 0 ? av_q2d(ratio) : 1;
}

Size displayed(const ffmpeg::Input& input, const ffmpeg::Turn& turn) {
  const Size size = {std::max<int64_t>(1, std::llround(input.decoder->width * pixel_aspect(input))),
                     input.decoder->height};
  return turn.transposed ? Size{size.height, size.width} : size;
}

class FfmpegFilm : public FilmReader {
 public:
  FfmpegFilm(const std::filesystem::path& path, const FilmView& view) : source_(path.string()), view_(view) {
    for (Owner<AVFrame>* frame : {&current_, &ahead_, &decoded_, &converted_}) frame->reset(av_frame_alloc());
    packet_.reset(av_packet_alloc());
    rewind();
    turn_ = ffmpeg::turn_of(input_.stream, source_);
    shown_ = displayed(input_, turn_);
    if (view_.crop.width == 0) view_.crop = {0, 0, shown_.width, shown_.height};
  }

  bool next() override {
    if (!started_) fetch();
    started_ = true;
    if (ended_) return false;
    std::swap(current_, ahead_);
    time_ = ahead_time_;
    pixels_.reset();
    fetch();
    return true;
  }
  double time() const override { return time_; }
  double next_time() const override { return ahead_time_; }
  double frame_seconds() const override { return frame_seconds_; }
  int64_t damaged() const override { return damaged_; }
  bool truncated() const override { return truncated_; }

  at::Tensor pixels() override {
    if (!pixels_.defined()) pixels_ = convert();
    return pixels_;
  }

  void seek(double time) override {
    if (!seek_near(time) || (fetch(), ahead_time_ > time)) {
      rewind();
      fetch();
    }
    started_ = true;
  }

  const AVFrame& first_frame() const { return *current_; }

 private:
  void rewind() {
    input_ = ffmpeg::open_input(source_, view_.threads);
    const AVRational rate = av_guess_frame_rate(input_.container.get(), input_.stream, nullptr);
    frame_seconds_ = rate.num > 0 && rate.den > 0 ? 1 / av_q2d(rate) : 0.04;
    start_ = input_.stream->start_time != AV_NOPTS_VALUE ? seconds(input_.stream->start_time) : 0;
    packets_listed_ = input_.packets_listed();
    reset(-kNever);
    packets_ = 0;
    read_until_ = 0;
    whole_ = true;
  }

  // False when the container cannot seek.
  bool seek_near(double time) {
    const AVRational base = input_.stream->time_base;
    const auto stamp = static_cast<int64_t>(std::floor((time + start_) / av_q2d(base)));
    if (time <= 0 || av_seek_frame(input_.container.get(), input_.stream->index, stamp, AVSEEK_FLAG_BACKWARD) < 0)
      return false;
    avcodec_flush_buffers(input_.decoder.get());
    reset(-kNever);
    whole_ = false;
    return true;
  }

  void reset(double last) {
    deinterlacer_.reset();
    started_ = ended_ = flushed_ = false;
    ahead_time_ = last;
    pixels_.reset();
  }

  double seconds(int64_t stamp) const { return static_cast<double>(stamp) * av_q2d(input_.stream->time_base); }

  // Decodes the frame after the current one into ahead_. Frames whose time does not advance are left out, and counted.
  void fetch() {
    const double before = ahead_time_;
    while (next_progressive()) {
      const int64_t stamp = ahead_->best_effort_timestamp;
      const double time =
          stamp != AV_NOPTS_VALUE ? seconds(stamp) - start_ : (std::isinf(before) ? 0 : before + frame_seconds_);
      if (time <= before) {
        ++damaged_;
        continue;
      }
      ahead_time_ = time;
      return;
    }
    ended_ = true;
    ahead_time_ = kNever;
  }

  bool next_progressive() {
    if (!view_.deinterlace) return decode(ahead_.get());
    for (;;) {
      if (deinterlacer_ && deinterlacer_->pull(ahead_.get())) {
        ahead_->best_effort_timestamp = ahead_->pts;
        return true;
      }
      if (flushed_) return false;
      flushed_ = !decode(decoded_.get());
      if (flushed_ && !deinterlacer_) return false;
      if (!deinterlacer_)
        deinterlacer_.emplace(*decoded_, input_.stream->time_base, "bwdif=mode=send_frame:deint=interlaced", source_);
      if (!flushed_) decoded_->pts = decoded_->best_effort_timestamp;
      deinterlacer_->push(flushed_ ? nullptr : decoded_.get());
    }
  }

  // The next frame that decodes without an error; false at the end.
  bool decode(AVFrame* frame) {
    for (int64_t in_a_row = 0; in_a_row < kMostDamaged;) {
      const int code = avcodec_receive_frame(input_.decoder.get(), frame);
      if (code == AVERROR_EOF) return false;
      if (code == AVERROR(EAGAIN)) {
        if (!send_packet()) ++in_a_row;
        continue;
      }
      if (code < 0 || (frame->flags & AV_FRAME_FLAG_CORRUPT) || frame->decode_error_flags != 0) {
        ++damaged_;
        ++in_a_row;
        continue;
      }
      check_unchanged(*frame);
      return true;
    }
    truncated_ = true;
    return false;
  }

  void check_unchanged(const AVFrame& frame) {
    if (width_ == 0) {
      width_ = frame.width;
      height_ = frame.height;
      format_ = frame.format;
    }
    check(frame.width == width_ && frame.height == height_, source_, ": its frames change size from ", width_, "x",
          height_, " to ", frame.width, "x", frame.height, "; split it there");
    check(frame.format == format_, source_, ": its frames change their pixel format; split it there");
  }

  // The next packet of any stream.
  int read_packet() {
    const int code = av_read_frame(input_.container.get(), packet_.get());
    if (code < 0) return code;
    const int64_t stamp = packet_->pts != AV_NOPTS_VALUE ? packet_->pts : packet_->dts;
    const AVRational base = input_.container->streams[packet_->stream_index]->time_base;
    if (stamp != AV_NOPTS_VALUE)
      read_until_ = std::max(read_until_, static_cast<double>(stamp + packet_->duration) * av_q2d(base));
    return code;
  }

  // Whether the container's index or header promises more than was in the file.
  bool lacks_its_end() const {
    if (packets_listed_ > 0 || !whole_) return whole_ && packets_ < packets_listed_;
    const AVFormatContext& container = *input_.container;
    double promised = static_cast<double>(input_.stream->nb_frames) * frame_seconds_;  // AVI
    if (container.duration_estimation_method == AVFMT_DURATION_FROM_STREAM)
      promised = std::max(promised, static_cast<double>(container.duration) / AV_TIME_BASE);
    return read_until_ + kMissing < promised;
  }

  // False for a packet that is damaged.
  bool send_packet() {
    int code = read_packet();
    while (code >= 0 && packet_->stream_index != input_.stream->index) {
      av_packet_unref(packet_.get());
      code = read_packet();
    }
    if (code < 0) {  // the end, or what follows a damaged place cannot be reached
      truncated_ = truncated_ || code != AVERROR_EOF || lacks_its_end();
      avcodec_send_packet(input_.decoder.get(), nullptr);
      return true;
    }
    ++packets_;
    const bool corrupt = packet_->flags & AV_PKT_FLAG_CORRUPT;
    code = avcodec_send_packet(input_.decoder.get(), packet_.get());
    av_packet_unref(packet_.get());
    damaged_ += corrupt || code < 0;
    return code >= 0;
  }

  // The part of the stored picture that the crop shows.
  Crop stored_crop() const {
    Crop crop = view_.crop;
    if (turn_.flip_x) crop.x = shown_.width - crop.x - crop.width;
    if (turn_.flip_y) crop.y = shown_.height - crop.y - crop.height;
    if (turn_.transposed) crop = {crop.y, crop.x, crop.height, crop.width};
    const double across =
        static_cast<double>(width_) / static_cast<double>(turn_.transposed ? shown_.height : shown_.width);
    crop.x = std::llround(static_cast<double>(crop.x) * across);
    crop.width = std::max<int64_t>(
        1, std::min(width_ - crop.x, static_cast<int64_t>(std::llround(static_cast<double>(crop.width) * across))));
    return crop;
  }

  std::string filters(const AVFrame& frame, bool full_range) const {
    const Crop crop = stored_crop();
    const std::string mapped = to_bt709(frame);
    const Size out = turn_.transposed ? Size{view_.height, view_.width} : Size{view_.width, view_.height};
    return mapped + formatted("crop=%ld:%ld:%ld:%ld:exact=1,", crop.width, crop.height, crop.x, crop.y) +
           formatted(
               "scale=%ld:%ld:flags=%s+accurate_rnd+full_chroma_int+full_chroma_inp:in_color_matrix=%s:in_range=%s,",
               out.width, out.height, view_.scaler == Scaler::kArea ? "area" : "lanczos",
               mapped.empty() ? matrix_name(frame) : "bt709", full_range && mapped.empty() ? "full" : "limited") +
           "format=rgb24";
  }

  at::Tensor convert() {  // current_ → uint8 [Y, X, 3], turned
    bool full_range = current_->color_range == AVCOL_RANGE_JPEG;
    current_->format = ffmpeg::without_range(static_cast<AVPixelFormat>(current_->format), full_range);
    if (!converter_) converter_.emplace(*current_, input_.stream->time_base, filters(*current_, full_range), source_);
    Owner<AVFrame> copy(av_frame_clone(current_.get()));
    copy->pts = converted_frames_++;
    converter_->push(copy.get());
    check(converter_->pull(converted_.get()), source_, ": cannot convert a frame");
    at::Tensor pixels = at::empty({converted_->height, converted_->width, 3}, at::kByte);
    for (int y = 0; y < converted_->height; ++y)
      std::copy_n(converted_->data[0] + y * converted_->linesize[0], 3 * converted_->width,
                  pixels.data_ptr<uint8_t>() + y * 3 * converted_->width);
    av_frame_unref(converted_.get());
    if (turn_.transposed) pixels = pixels.transpose(0, 1);
    if (turn_.flip_x) pixels = pixels.flip(1);
    if (turn_.flip_y) pixels = pixels.flip(0);
    return pixels.contiguous();
  }

  std::string source_;
  FilmView view_;
  ffmpeg::Input input_;
  ffmpeg::Turn turn_;
  Size shown_;
  Owner<AVPacket> packet_;
  Owner<AVFrame> current_, ahead_, decoded_, converted_;
  std::optional<ffmpeg::Graph> deinterlacer_, converter_;
  at::Tensor pixels_;
  double start_ = 0, frame_seconds_ = 0.04, time_ = 0, ahead_time_ = 0;
  double read_until_ = 0;  // seconds, over all streams
  bool started_ = false, ended_ = false, flushed_ = false, truncated_ = false;
  bool whole_ = true;               // read from the start without a gap
  int64_t width_ = 0, height_ = 0;  // as stored
  int format_ = AV_PIX_FMT_NONE;
  int64_t packets_listed_ = 0, packets_ = 0, damaged_ = 0, converted_frames_ = 0;
};

}  // namespace

FilmInfo film_info(const std::filesystem::path& path) {
  const std::string source = path.string();
  const ffmpeg::Input input = ffmpeg::open_input(source, 1);
  const ffmpeg::Turn turn = ffmpeg::turn_of(input.stream, source);
  const Size shown = displayed(input, turn);
  FilmInfo info;
  info.width = shown.width;
  info.height = shown.height;
  info.stored_width = input.decoder->width;
  info.stored_height = input.decoder->height;
  info.pixel_aspect = pixel_aspect(input);
  info.rotation = turn.transposed ? (turn.flip_x ? 90 : 270) : (turn.flip_x ? 180 : 0);
  const AVRational rate = av_guess_frame_rate(input.container.get(), input.stream, nullptr);
  info.fps = rate.num > 0 && rate.den > 0 ? av_q2d(rate) : 0;
  if (input.stream->duration > 0)
    info.seconds = static_cast<double>(input.stream->duration) * av_q2d(input.stream->time_base);
  else if (input.container->duration > 0)
    info.seconds = static_cast<double>(input.container->duration) / AV_TIME_BASE;
  FfmpegFilm film(path, {.width = 16, .height = 16, .threads = 1});
  check(film.next(), source, ": no frame can be decoded");
  const AVFrame& frame = film.first_frame();
  const auto* format = av_pix_fmt_desc_get(static_cast<AVPixelFormat>(frame.format));
  info.bits = format ? format->comp[0].depth : 8;
  info.codec = avcodec_get_name(input.stream->codecpar->codec_id);
  info.pixel_format = or_unknown(format ? format->name : nullptr);
  info.matrix = or_unknown(av_color_space_name(frame.colorspace));
  info.range = or_unknown(av_color_range_name(frame.color_range));
  info.transfer = or_unknown(av_color_transfer_name(frame.color_trc));
  info.hdr = is_hdr(frame.color_trc);
  for (int i = 0; i < kFirstFrames && !info.interlaced; ++i) {
    info.interlaced = film.first_frame().interlaced_frame != 0;
    if (!film.next()) break;
  }
  return info;
}

std::unique_ptr<FilmReader> open_film(const std::filesystem::path& path, const FilmView& view) {
  return std::make_unique<FfmpegFilm>(path, view);
}

}  // namespace moga
