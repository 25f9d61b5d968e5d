// A libavfilter graph. See film_graph.h.
#include "moga/data/video/film_graph.h"

#include "moga/core/format.h"

namespace moga::ffmpeg {

Graph::Graph(const AVFrame& frame, AVRational time_base, const std::string& filters, const std::string& source)
    : source_(source), time_base_(time_base), graph_(avfilter_graph_alloc()) {
  graph_->nb_threads = 1;
  const std::string description = formatted("buffer=video_size=%dx%d:pix_fmt=%d:time_base=%d/%d:pixel_aspect=1/1,",
                                            frame.width, frame.height, frame.format, time_base.num, time_base.den) +
                                  filters + ",buffersink";
  AVFilterInOut *inputs = nullptr, *outputs = nullptr;
  const int code = avfilter_graph_parse2(graph_.get(), description.c_str(), &inputs, &outputs);
  avfilter_inout_free(&inputs);
  avfilter_inout_free(&outputs);
  checked(code, source_, "cannot filter its frames");
  checked(avfilter_graph_config(graph_.get(), nullptr), source_, "cannot filter its frames");
  in_ = graph_->filters[0];
  for (unsigned i = 0; i < graph_->nb_filters; ++i)
    if (std::string(graph_->filters[i]->filter->name) == "buffersink") out_ = graph_->filters[i];
}

void Graph::push(AVFrame* frame) { checked(av_buffersrc_add_frame(in_, frame), source_, "cannot filter its frames"); }

bool Graph::pull(AVFrame* frame) {
  const int code = av_buffersink_get_frame(out_, frame);
  if (code == AVERROR(EAGAIN) || code == AVERROR_EOF) return false;
  checked(code, source_, "cannot filter its frames");
  if (frame->pts != AV_NOPTS_VALUE)
    frame->pts = av_rescale_q(frame->pts, av_buffersink_get_time_base(out_), time_base_);
  return true;
}

}  // namespace moga::ffmpeg
