// Memory and time of a part of a run, found by rehearsing it: the same code with random weights, one or two of its
// layers and a few steps. Costs that grow with layers are extrapolated from these. Where a full-sized rehearsal would
// take too long (on a CPU) or does not fit, the frame is made smaller; bytes are extrapolated by tokens, seconds by
// FLOP.
#pragma once

#include <functional>

#include "moga/bench/memory_meter.h"
#include "moga/model/codec.h"
#include "moga/model/text/text_encoder.h"
#include "moga/model/video_model.h"
#include "moga/sampler/solver.h"

namespace moga {

struct Rehearsed {
  int64_t weight_bytes = 0;  // held during the whole part
  int64_t work_bytes = 0;    // at the peak, in addition to the weights
  double seconds = 0;        // per step, caption batch or latent frame
};

// Frames of rows × columns tokens, or latents when a codec is rehearsed.
struct FrameSize {
  int64_t rows = 0, columns = 0;
  int64_t tokens() const { return rows * columns; }
};

struct RehearsalLimits {
  double flop = 0;  // FLOP of one rehearsed step above which the frame is reduced
  FrameSize least;  // smallest frame
};

// Rehearses one part with `layers` layers, or for a frame size.
using RehearseLayers = std::function<Rehearsed(int64_t layers)>;
using RehearseFrame = std::function<Rehearsed(FrameSize frame)>;

// one + more · (two − one): from one and two layers to 1 + more.
Rehearsed extended(const Rehearsed& one, const Rehearsed& two, int64_t more);

// Extrapolates from one and two layers to all layers.
Rehearsed over_layers(int64_t layers, const RehearseLayers& rehearse);

// The same for streamed blocks, from four and six layers, since two buffers hold up to two layers without any copying.
Rehearsed over_streamed_layers(int64_t layers, const RehearseLayers& rehearse);

// Extrapolates from smaller frames to `frame` if flop(frame) is above the limit or memory runs out.
Rehearsed over_frames(FrameSize frame, const RehearsalLimits& limits, const std::function<double(FrameSize)>& flop,
                      const RehearseFrame& rehearse);

// A few steps of the sampler over the transformer, with guidance two videos at once. Seconds: one step.
struct DenoisingRehearsal {
  Cloned<VideoModelConfig> model;  // with the number of layers to rehearse
  VideoShape video;
  bool guided = true;
  SolverKind solver = SolverKind::kUniPc;
  bool stream_weights = false;
  double share = 1;  // fraction of the run's tokens: chunks of the feed-forward layers shrink with it
};
Rehearsed rehearse_denoising(const DenoisingRehearsal& rehearsal, c10::Device device, c10::ScalarType dtype);

// Captions of full length through the text encoder. Seconds for all of them.
Rehearsed rehearse_text(const TextEncoderConfig& config, int64_t captions, int64_t text_len, c10::Device device,
                        c10::ScalarType dtype);

// A few latent frames of `frame` latents through the codec's decoder. Seconds: a latent frame.
Rehearsed rehearse_decoding(const CodecConfig& config, FrameSize frame, c10::Device device, c10::ScalarType dtype);

}  // namespace moga
