// VideoModel: the interface of a video diffusion transformer of any family: the velocity of a packed batch, v(x_t, t,
// text), and the sizes that its callers depend on.
//
// A family is one folder (wan/) and one line in registry.cpp. Its module derives from VideoModel, its config, which
// describes a model without weights, from VideoModelConfig. Parameters carry Wan2.1's names in every family
// (blocks.0.self_attn.q.weight, …). Sampling is denoiser.h.
#pragma once

#include <torch/nn/module.h>

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "moga/attention/cost.h"
#include "moga/attention/visual_attention.h"
#include "moga/core/check.h"
#include "moga/core/cloned.h"
#include "moga/core/strides.h"
#include "moga/model/layers/kept_precision.h"
#include "moga/model/layers/recompute.h"
#include "moga/model/layers/weight_layout.h"
#include "moga/parallel/process_group.h"

namespace moga::config_detail {
struct Node;
struct Source;
}  // namespace moga::config_detail

namespace moga {

// Embeddings of the images of all shots of all videos (moga/model/image), one shot after the other.
struct ImageTokens {
  at::Tensor rows;              // [I, image_dim]; undefined: no shot has an image
  std::vector<int64_t> counts;  // rows of each shot, 0 for a shot without an image; empty: no shot has any
};

struct VideoModelInput {
  std::vector<at::Tensor> latents;  // one per video, [C_z, F, Y', X']
  at::Tensor timestep;              // [B] float32 in [0, 1000]
  // Caption embeddings of all shots of all videos, shot after shot: [S_total, text_tokens, text_dim]. Rows after a
  // caption's own tokens are zero and, in Wan2.1, *are* attended to, once projected.
  at::Tensor text;
  Layout layout;                    // rows = Y' / patch, columns = X' / patch, shots
  bool full_attention = false;      // in all layers, overriding the config; for single sampler steps
  AttentionObserver observer = {};  // sees the inputs of each layer's attention; may be empty
  // Ranks that share the videos: each has the whole input and computes a slice of the tokens. One rank: all of them.
  ProcessGroup sequence = {};
  // For models that are given images (Conditioning): channels after those of the latents, one per video
  // [C_c, F, Y', X'], and what cross-attention sees of the images besides.
  std::vector<at::Tensor> condition = {};
  ImageTokens image = {};
  // Latent frames of each video, ascending, that are given rather than denoised: their timestep is 0. Empty: none.
  std::vector<std::vector<int64_t>> given_frames = {};
  // Text tokens of each caption, for models that do not attend to the rows after them. Empty: all rows are text tokens.
  std::vector<int64_t> text_lengths = {};
};

// The same on all ranks that share the videos. When each of them computes a loss from it, a rank's parameter gradients
// are those of its slice, and the sum over the ranks is the gradient of the loss.
struct VideoModelOutput {
  std::vector<at::Tensor> velocity;  // one per video, [C_z, F, Y', X'], float32
  at::Tensor balance_loss;           // mean over layers, times α; undefined without a router
  // [layers with a router, M] int64, summed over videos, on the device; undefined without a router
  at::Tensor group_histogram;
  // [layers with a router]: Σ p(g(x)|x) over the tokens that this rank computed, no gradient; undefined without a
  // router
  at::Tensor gate_sum;
};

// The inputs of a model besides latents and timesteps.
struct Conditioning {
  int64_t text_tokens = 0;  // per caption
  int64_t text_dim = 0;     // width of the text encoder
  // C_c: channels of a video that shows given images at some frames, with a mask of these (image_condition.h); 0: text
  // to video.
  int64_t channels = 0;
  int64_t image_dim = 0;     // width of the image encoder; 0: the model sees no embeddings of images
  int64_t image_tokens = 0;  // of a shot with an image, where image_dim > 0; 0: as many as the encoder makes of one
};

class VideoModel;

struct VideoModelConfig {
  virtual ~VideoModelConfig() = default;

  virtual const char* class_name() const = 0;   // `_class_name` of its config.json
  virtual const char* codec_class() const = 0;  // the codec that its family is made for
  virtual std::unique_ptr<VideoModelConfig> clone() const = 0;
  // `initialise` false leaves the weights unset, for a file.
  virtual std::shared_ptr<VideoModel> build(bool initialise) const = 0;
  // {"moga.kind=full", …}; `source`: who gave them, for errors.
  virtual void apply(const std::vector<std::string>& settings, const std::string& source) = 0;
  virtual void validate() const = 0;
  // As the table [transformer] of a training config: reading leaves absent keys as they are. The table of any family
  // but the first of the registry is written with its `_class_name`.
  virtual void read_tree(const config_detail::Node& table, const config_detail::Source& source) = 0;
  virtual config_detail::Node tree() const = 0;

  virtual int64_t latent_channels() const = 0;  // C_z, without the condition's
  virtual Strides patch() const = 0;            // latents per token
  virtual Conditioning conditioning() const = 0;
  virtual ModelShape shape() const = 0;  // what its cost depends on
  virtual const VisualAttentionConfig& attention() const = 0;
  virtual VisualAttentionConfig& attention() = 0;
  virtual void set_layers(int64_t layers) = 0;  // transformer blocks, for rehearsals with fewer
  // Throws when so many ranks cannot share a video (VideoModelInput::sequence).
  virtual void check_sequence_ranks(int64_t) const {}

  // [C_z, F, Y', X'] of a video of this many tokens.
  std::vector<int64_t> latent_shape(const VideoShape& video) const {
    const Strides latents = patch();
    return {latent_channels(), video.frames * latents.frames, video.rows * latents.rows,
            video.columns * latents.columns};
  }

 protected:
  VideoModelConfig() = default;
  VideoModelConfig(const VideoModelConfig&) = default;
  VideoModelConfig& operator=(const VideoModelConfig&) = default;
};

class VideoModel : public torch::nn::Module {
 public:
  virtual const VideoModelConfig& config() const = 0;
  // Products and attention run in `dtype` (weights are cast when they are kept wider: float32 masters); norms,
  // modulation and the softmax of the router in float32.
  virtual VideoModelOutput forward(const VideoModelInput& input, at::ScalarType dtype) = 0;

  // All weights as the family's authors initialise them, from the default generator.
  virtual void initialise() = 0;
  // The output layer, which initialise() leaves at zero: N(0, 0.02²), so that a random model has a velocity.
  virtual void fill_head() = 0;
  // The dtype in which the parameter `name` is kept when products run in `dtype`: small, sensitive ones stay float32.
  virtual at::ScalarType kept_dtype(const std::string& name, at::ScalarType dtype) const = 0;

  // What blocks keep for their backward pass; everything unless set.
  virtual void set_recompute(const RecomputeConfig& config) = 0;

  // Where the blocks' weights are before they run, instead of always on the device (layers/block_weights.h). The
  // modules of the blocks are named blocks.0, blocks.1, …
  virtual void set_block_weights(std::shared_ptr<BlockWeights>) {
    fail(config().class_name(), ": the weights of its blocks cannot be sharded");
  }

  // For inference with a model that does not fit: allocates the blocks' weights in host memory, without values. Once
  // they are filled, stream_blocks() copies each block's to `device` while the previous block computes
  // (weight_stream.h).
  virtual void keep_blocks_on_host(at::Device device) = 0;
  virtual void stream_blocks() = 0;
  // For inference with two models of which one computes at a time (layers/host_weights.h): allocates all weights in
  // host memory, without values. Once they are filled, wake() copies them to `device` and rest() frees them there. Both
  // do nothing in a model that is not kept on the host.
  virtual void keep_on_host(at::Device device) = 0;
  virtual void wake() = 0;
  virtual void rest() = 0;

  // A folder with config.json and safetensors.
  virtual void save(const std::filesystem::path& folder, at::ScalarType dtype, WeightLayout layout) const = 0;
  // The name of the tensor `name` in a file of this layout.
  virtual std::string name_in(WeightLayout, const std::string& name) const { return name; }
};

using VideoModelPtr = std::shared_ptr<VideoModel>;

}  // namespace moga
