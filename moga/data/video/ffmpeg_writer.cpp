// Writes MP4 through FFmpeg's libraries: H.264 (libx264), yuv420p, BT.709 limited range, tagged in stream and
// container, index at the start (faststart). Works frame by frame; only the encoder's look-ahead is kept in memory.
#include <ATen/ATen.h>

#include "moga/core/files.h"
#include "moga/data/video/ffmpeg.h"
#include "moga/data/video/formats.h"

namespace moga {
namespace {

using ffmpeg::checked;
using ffmpeg::Owner;

class Mp4Writer : public VideoWriter {
 public:
  Mp4Writer(const std::filesystem::path& path, int64_t width, int64_t height, double fps, const MediaTags& tags)
      : file_(path), source_(path.string()), width_(width), height_(height) {
    check(width % 2 == 0 && height % 2 == 0, source_, ": size is ", width, "x", height,
          ", expected even numbers (yuv420p)");
    av_log_set_level(AV_LOG_FATAL);
    open_encoder(fps);
    open_container(tags);
    converter_ = ffmpeg::make_converter(width, height, AV_PIX_FMT_RGB24, AV_PIX_FMT_YUV420P, SWS_CS_ITU709, false);
    packet_.reset(av_packet_alloc());
    frame_.reset(av_frame_alloc());
    frame_->format = AV_PIX_FMT_YUV420P;
    frame_->width = static_cast<int>(width);
    frame_->height = static_cast<int>(height);
    checked(av_frame_get_buffer(frame_.get(), 0), source_, "cannot allocate a frame");
  }

  void write(const at::Tensor& frames) override {
    const at::Tensor pixels = checked_frames(frames, width_, height_, source_).permute({0, 2, 3, 1}).contiguous();
    for (int64_t i = 0; i < pixels.size(0); ++i) {
      checked(av_frame_make_writable(frame_.get()), source_, "cannot allocate a frame");
      const uint8_t* rows[] = {pixels[i].data_ptr<uint8_t>()};  // [Y, X, 3]
      const int stride[] = {static_cast<int>(3 * width_)};
      sws_scale(converter_.get(), rows, stride, 0, static_cast<int>(height_), frame_->data, frame_->linesize);
      frame_->pts = next_++;
      encode(frame_.get());
    }
  }

  void finish() override {
    check(next_ > 0, source_, ": no frame was written");
    encode(nullptr);
    checked(av_write_trailer(container_.get()), source_, "cannot complete the file");
    checked(avio_closep(&container_->pb), source_, "cannot complete the file");
    file_.commit();
  }

 private:
  struct CloseOutput {
    void operator()(AVFormatContext* container) const {
      avio_closep(&container->pb);
      avformat_free_context(container);
    }
  };

  void open_encoder(double fps) {
    const AVCodec* codec = avcodec_find_encoder_by_name("libx264");
    check(codec, source_, ": this FFmpeg has no libx264, which MP4 files need; write .y4m");
    encoder_.reset(avcodec_alloc_context3(codec));
    const AVRational rate = av_d2q(fps, 100100);
    encoder_->width = static_cast<int>(width_);
    encoder_->height = static_cast<int>(height_);
    encoder_->framerate = rate;
    encoder_->time_base = av_inv_q(rate);
    encoder_->sample_aspect_ratio = {1, 1};
    encoder_->pix_fmt = AV_PIX_FMT_YUV420P;
    encoder_->color_range = AVCOL_RANGE_MPEG;
    encoder_->colorspace = AVCOL_SPC_BT709;
    encoder_->color_primaries = AVCOL_PRI_BT709;
    encoder_->color_trc = AVCOL_TRC_BT709;
    encoder_->chroma_sample_location = AVCHROMA_LOC_LEFT;
    encoder_->flags |= AV_CODEC_FLAG_GLOBAL_HEADER;
    av_opt_set(encoder_->priv_data, "preset", "medium", 0);
    av_opt_set(encoder_->priv_data, "crf", "17", 0);
    checked(avcodec_open2(encoder_.get(), codec, nullptr), source_, "cannot open the H.264 encoder");
  }

  void open_container(const MediaTags& tags) {
    const std::string url = "file:" + file_.temporary().string();
    AVFormatContext* container = nullptr;
    checked(avformat_alloc_output_context2(&container, nullptr, "mp4", url.c_str()), source_, "cannot write MP4");
    container_.reset(container);
    stream_ = avformat_new_stream(container, nullptr);
    stream_->time_base = encoder_->time_base;
    stream_->avg_frame_rate = encoder_->framerate;
    checked(avcodec_parameters_from_context(stream_->codecpar, encoder_.get()), source_, "cannot describe the stream");
    checked(avio_open(&container->pb, url.c_str(), AVIO_FLAG_WRITE), source_, "cannot be written");
    for (const auto& [key, value] :
         {std::pair{"title", &tags.title}, {"comment", &tags.comment}, {"encoding_tool", &tags.tool}})
      if (!value->empty()) av_dict_set(&container->metadata, key, value->c_str(), 0);
    AVDictionary* options = nullptr;
    av_dict_set(&options, "movflags", "+faststart", 0);
    const int code = avformat_write_header(container, &options);
    av_dict_free(&options);
    checked(code, source_, "cannot write the header");
  }

  // nullptr flushes the encoder.
  void encode(const AVFrame* frame) {
    checked(avcodec_send_frame(encoder_.get(), frame), source_, "encoding failed");
    for (;;) {
      const int code = avcodec_receive_packet(encoder_.get(), packet_.get());
      if (code == AVERROR(EAGAIN) || code == AVERROR_EOF) return;
      checked(code, source_, "encoding failed");
      av_packet_rescale_ts(packet_.get(), encoder_->time_base, stream_->time_base);
      packet_->stream_index = stream_->index;
      packet_->duration = av_rescale_q(1, encoder_->time_base, stream_->time_base);
      checked(av_interleaved_write_frame(container_.get(), packet_.get()), source_, "writing failed");
    }
  }

  PendingFile file_;
  std::string source_;
  int64_t width_, height_;
  int64_t next_ = 0;
  std::unique_ptr<AVFormatContext, CloseOutput> container_;
  AVStream* stream_ = nullptr;
  Owner<AVCodecContext> encoder_;
  Owner<SwsContext> converter_;
  Owner<AVPacket> packet_;
  Owner<AVFrame> frame_;
};

}  // namespace

std::unique_ptr<VideoWriter> make_mp4_writer(const std::filesystem::path& path, int64_t width, int64_t height,
                                             double fps, const MediaTags& tags) {
  return std::make_unique<Mp4Writer>(path, width, height, fps, tags);
}

}  // namespace moga
