// See odd_film.h.
#include "tests/data/films/odd_film.h"

extern "C" {
#include <libavutil/display.h>
#include <libavutil/pixdesc.h>
}

#include <cmath>
#include <vector>

#include "moga/data/video/ffmpeg.h"

namespace moga::test {
namespace {

using ffmpeg::checked;
using ffmpeg::Owner;

constexpr AVRational kMilliseconds = {1, 1000};
constexpr int64_t kFrame = 40;  // milliseconds that the last frame is shown

// RGB → Y, Cb, Cr in the film's matrix, from 0 to 1 and from -1/2 to 1/2.
std::array<double, 3> to_ycc(AVColorSpace matrix) {
  const bool is_709 = matrix == AVCOL_SPC_BT709, is_2020 = matrix == AVCOL_SPC_BT2020_NCL;
  const double red = is_709 ? 0.2126 : is_2020 ? 0.2627 : 0.299, blue = is_709 ? 0.0722 : is_2020 ? 0.0593 : 0.114;
  const double r = kOddColour[0] / 255, g = kOddColour[1] / 255, b = kOddColour[2] / 255;
  const double luma = red * r + (1 - red - blue) * g + blue * b;
  return {luma, (b - luma) / (2 * (1 - blue)), (r - luma) / (2 * (1 - red))};
}

// The code of a value in [0, 1] for luma, [-1/2, 1/2] for chroma.
double code(double value, bool chroma, bool full, int depth) {
  const double one = std::ldexp(1, depth - 8);
  if (full) return (chroma ? 128 * one : 0) + value * (std::ldexp(1, depth) - 1);
  return one * (chroma ? 128 + 224 * value : 16 + 219 * value);
}

// Levels from -24 to 24 that differ from one block of 4 × 4 pixels to the next, zero on average.
int64_t texture(int64_t x, int64_t y) {
  const auto mixed = static_cast<uint32_t>(x / 4 * 40503 + y / 4 * 30011) * 2654435761u;
  return static_cast<int64_t>((mixed >> 8) % 49) - 24;
}

void paint(AVFrame& frame, const OddFilm& film, int64_t number) {
  const AVPixFmtDescriptor& format = *av_pix_fmt_desc_get(film.format);
  const bool full = film.range == AVCOL_RANGE_JPEG;
  const std::array<double, 3> colour = to_ycc(film.matrix);
  for (int plane = 0; plane < format.nb_components; ++plane) {
    const int depth = format.comp[plane].depth, shift_x = plane ? format.log2_chroma_w : 0,
              shift_y = plane ? format.log2_chroma_h : 0;
    const double mean = code(colour[static_cast<size_t>(plane)], plane > 0, full, depth);
    for (int64_t y = 0; y < AV_CEIL_RSHIFT(film.height, shift_y); ++y)
      for (int64_t x = 0; x < AV_CEIL_RSHIFT(film.width, shift_x); ++x) {
        const int64_t step = plane ? 0 : texture(x + number, y);
        const auto value = static_cast<uint16_t>(std::lround(mean + static_cast<double>(step * (1 << (depth - 8)))));
        uint8_t* row = frame.data[plane] + y * frame.linesize[plane];
        if (depth > 8)
          reinterpret_cast<uint16_t*>(row)[x] = value;
        else
          row[x] = static_cast<uint8_t>(value);
      }
  }
}

class Writer {
 public:
  Writer(const std::filesystem::path& path, const OddFilm& film) : source_(path.string()), film_(film) {
    checked(avformat_alloc_output_context2(&container_, nullptr, nullptr, source_.c_str()), source_, "no container");
    av_opt_set_int(container_, "fflags", AVFMT_FLAG_BITEXACT, 0);
    container_->avoid_negative_ts = AVFMT_AVOID_NEG_TS_DISABLED;
  }
  ~Writer() {
    avio_closep(&container_->pb);
    avformat_free_context(container_);
  }

  void write() {
    Owner<AVCodecContext> picture, sound;
    if (film_.picture || film_.cover) picture = picture_encoder();
    if (film_.sound) sound = sound_encoder();
    checked(avio_open(&container_->pb, source_.c_str(), AVIO_FLAG_WRITE), source_, "cannot be written");
    AVDictionary* options = nullptr;
    av_dict_parse_string(&options, film_.muxer_options.c_str(), "=", ":", 0);
    checked(avformat_write_header(container_, &options), source_, "cannot write the header");
    av_dict_free(&options);
    if (picture) encode_pictures(*picture);
    if (sound) encode_silence(*sound);
    checked(av_write_trailer(container_), source_, "cannot be completed");
  }

 private:
  Owner<AVCodecContext> opened(Owner<AVCodecContext> encoder) {
    if (container_->oformat->flags & AVFMT_GLOBALHEADER) encoder->flags |= AV_CODEC_FLAG_GLOBAL_HEADER;
    AVDictionary* options = nullptr;
    av_dict_parse_string(&options, film_.codec_options.c_str(), "=", ":", 0);
    checked(avcodec_open2(encoder.get(), encoder->codec, &options), source_, "cannot open the encoder");
    av_dict_free(&options);
    AVStream* stream = avformat_new_stream(container_, nullptr);
    stream->time_base = encoder->time_base;
    stream->sample_aspect_ratio = encoder->sample_aspect_ratio;
    checked(avcodec_parameters_from_context(stream->codecpar, encoder.get()), source_, "cannot describe the stream");
    return encoder;
  }

  Owner<AVCodecContext> picture_encoder() {
    const AVCodec* codec = avcodec_find_encoder_by_name(film_.codec.c_str());
    check(codec, film_.codec, ": this FFmpeg has no such encoder");
    Owner<AVCodecContext> encoder(avcodec_alloc_context3(codec));
    encoder->width = film_.width;
    encoder->height = film_.height;
    const bool counts_frames = codec->id == AV_CODEC_ID_MPEG2VIDEO || std::string(container_->oformat->name) == "avi";
    encoder->time_base = counts_frames ? AVRational{1, 25} : kMilliseconds;
    encoder->framerate = {25, 1};
    encoder->gop_size = 10;
    encoder->pix_fmt = film_.format;
    encoder->sample_aspect_ratio = film_.pixel_aspect;
    encoder->colorspace = film_.matrix;
    encoder->color_range = film_.range;
    encoder->color_primaries = film_.primaries;
    encoder->color_trc = film_.transfer;
    encoder->strict_std_compliance = FF_COMPLIANCE_UNOFFICIAL;  // limited range in MJPEG
    if (film_.interlaced) encoder->flags |= AV_CODEC_FLAG_INTERLACED_DCT | AV_CODEC_FLAG_INTERLACED_ME;
    Owner<AVCodecContext> ready = opened(std::move(encoder));
    AVStream* stream = container_->streams[container_->nb_streams - 1];
    if (film_.cover) stream->disposition |= AV_DISPOSITION_ATTACHED_PIC;
    add_turn(*stream);
    return ready;
  }

  void add_turn(AVStream& stream) const {
    auto* matrix = reinterpret_cast<int32_t*>(av_stream_new_side_data(&stream, AV_PKT_DATA_DISPLAYMATRIX, 36));
    const auto& [a, b, c, d] = film_.turn;
    const std::array<int32_t, 9> values = {a, b, 0, c, d, 0, 0, 0, 1 << 30};
    std::copy(values.begin(), values.end(), matrix);
  }

  Owner<AVCodecContext> sound_encoder() {
    Owner<AVCodecContext> encoder(avcodec_alloc_context3(avcodec_find_encoder(AV_CODEC_ID_AAC)));
    encoder->sample_rate = 48000;
    encoder->sample_fmt = AV_SAMPLE_FMT_FLTP;
    encoder->time_base = {1, 48000};
    av_channel_layout_default(&encoder->ch_layout, 1);
    return opened(std::move(encoder));
  }

  void encode_pictures(AVCodecContext& encoder) {
    Owner<AVFrame> frame(av_frame_alloc());
    frame->width = film_.width;
    frame->height = film_.height;
    frame->format = film_.format;
    frame->color_range = film_.range;
    frame->interlaced_frame = frame->top_field_first = film_.interlaced;
    checked(av_frame_get_buffer(frame.get(), 0), source_, "no memory");
    for (int64_t i = 0; i < (film_.cover ? 1 : film_.frames); ++i) {
      checked(av_frame_make_writable(frame.get()), source_, "no memory");
      paint(*frame, film_, i);
      frame->pts = av_rescale_q(film_.time(i), kMilliseconds, encoder.time_base);
      encode(encoder, frame.get(), 0);
    }
    encode(encoder, nullptr, 0);
  }

  // Two seconds.
  void encode_silence(AVCodecContext& encoder) {
    const int stream = static_cast<int>(container_->nb_streams) - 1;
    Owner<AVFrame> frame(av_frame_alloc());
    frame->nb_samples = encoder.frame_size;
    frame->format = encoder.sample_fmt;
    av_channel_layout_default(&frame->ch_layout, 1);
    checked(av_frame_get_buffer(frame.get(), 0), source_, "no memory");
    std::fill_n(reinterpret_cast<float*>(frame->data[0]), frame->nb_samples, 0.0f);
    for (frame->pts = 0; frame->pts < 2 * encoder.sample_rate; frame->pts += frame->nb_samples)
      encode(encoder, frame.get(), stream);
    encode(encoder, nullptr, stream);
  }

  void encode(AVCodecContext& encoder, const AVFrame* frame, int stream) {
    Owner<AVPacket> packet(av_packet_alloc());
    checked(avcodec_send_frame(&encoder, frame), source_, "cannot encode");
    while (avcodec_receive_packet(&encoder, packet.get()) >= 0) {
      packet->stream_index = stream;
      if (packet->duration == 0) packet->duration = av_rescale_q(kFrame, kMilliseconds, encoder.time_base);
      av_packet_rescale_ts(packet.get(), encoder.time_base, container_->streams[stream]->time_base);
      checked(av_interleaved_write_frame(container_, packet.get()), source_, "cannot be written");
    }
  }

  std::string source_;
  const OddFilm& film_;
  AVFormatContext* container_ = nullptr;
};

}  // namespace

void write_odd_film(const std::filesystem::path& path, const OddFilm& film) {
  av_log_set_level(AV_LOG_FATAL);
  Writer(path, film).write();
}

}  // namespace moga::test
