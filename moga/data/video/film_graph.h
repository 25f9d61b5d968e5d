// Private to moga/data/video: a libavfilter graph from a decoder's frames to other frames.
#pragma once

extern "C" {
#include <libavfilter/avfilter.h>
#include <libavfilter/buffersink.h>
#include <libavfilter/buffersrc.h>
}

#include <string>

#include "moga/data/video/ffmpeg.h"

namespace moga::ffmpeg {

class Graph {
 public:
  // `filters` in libavfilter's syntax. The graph is for frames like `frame`.
  Graph(const AVFrame& frame, AVRational time_base, const std::string& filters, const std::string& source);
  // Gives the graph a frame, whose data it takes; nullptr at the end.
  void push(AVFrame* frame);
  // The next frame out of it, its time in `time_base` whatever the filters use; false when it needs more.
  bool pull(AVFrame* frame);

 private:
  struct Free {
    void operator()(AVFilterGraph* graph) const { avfilter_graph_free(&graph); }
  };
  std::string source_;
  AVRational time_base_;
  std::unique_ptr<AVFilterGraph, Free> graph_;
  AVFilterContext *in_ = nullptr, *out_ = nullptr;
};

}  // namespace moga::ffmpeg
