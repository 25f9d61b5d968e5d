// TOML configs of training and of preparing data, read as the commands read them.
#include <toml++/toml.h>

#include <sstream>

#include "moga/core/config.h"
#include "moga/data/films/config.h"
#include "moga/train/text/config.h"
#include "moga/train/vae/config.h"
#include "moga/train/video/config.h"
#include "moga/train/video/prepare.h"
#include "tests/fuzz/agree.h"
#include "tests/fuzz/target.h"

namespace moga::test {
namespace {

using nlohmann::json;
using Path = std::filesystem::path;

constexpr const char* kScratch = R"(seed = 2
out = "runs/stories"
tokenizer = "data/spiece.model"
vae = "runs/vae/model"
caption_dropout = 0.1
ema = 0.998
max_minutes = 1.5
log_every = 20
[transformer]
_class_name = "WanTransformer3DModel"
num_attention_heads = 5
attention_head_dim = 64
text_dim = 256
num_layers = 8
[transformer.moga]
groups = 5
[transformer.moga.windows]
rows = 2
run_frames = 4
[text_encoder]
vocab_size = 1000
d_model = 256
[flow]
timesteps = "uniform"
shift = 5.0
[optimizer]
beta1 = 0.9
clip = 1.0
[samples]
every = 1000
data = "data/held_out"
[samples.sampler]
solver = "unipc"
steps = 20
[[stage]]
name = "long"
data = "data/long"
steps = 2300
batch = 12
accumulation = 4
lr = 1e-3
schedule = { kind = "cosine", warmup_steps = 100, final_fraction = 0.02 }
)";
// After `init`, which is a folder.
constexpr const char* kFinetune = R"(text = "stored"
train_text_encoder = false
weights = "bfloat16"
ema = 0
cache = "stream"
checkpoint_every = 500
[lora]
rank = 8
alpha = 4.0
[recompute]
mode = "full"
offload_inputs = true
[parallel]
data = 2
sequence = 1
[[stage]]
name = "10 s"
data = "data/a"
steps = 30
batch = 4
[[stage]]
name = "30 s"
data = "data/b"
frames = 9
)";
constexpr const char* kVae = R"(seed = 1
out = "runs/vae"
steps = 2600
frames = 17
crop = 112
pool = 128
ema = 0.998
train_encoder = true
[schedule]
kind = "cosine"
[loss]
gradient = 1.0
scales = 3
[model]
base_dim = 32
z_dim = 16
dim_mult = [1, 2, 2, 3]
temperal_downsample = [false, true, true]
[stories]
width = 224
height = 128
away = 0.5
)";
constexpr const char* kText = R"(seed = 1
tokenizer = "data/spiece.model"
text_len = 64
held_out = 1024
[optimizer]
weight_decay = 0.01
[model]
d_model = 256
num_layers = 2
[stories]
min_shots = 4
max_shots = 4
)";
constexpr const char* kStories = R"(vae = "runs/vae/model"
out = "data/short"
count = 4000
mode = "clip"
[story]
width = 224
height = 128
frames = 33
min_shots = 3
)";
constexpr const char* kFilms = R"(input = "films"
out = "data/films"
fps = 16
[merge]
min_seconds = 2
max_seconds = 10.5
area = 399360
aspects = ["16:9", "1:1"]
multi_shot = false
[encode]
vae = "models/demo/vae"
text_encoder = "models/demo/text_encoder"
tokenizer = "models/demo/tokenizer"
held_out = 1
)";

std::string mutate(const std::string& original, Random& random) { return mutate_text(original, random); }

template <class Text>
json json_of_toml(const Text& text) {
  std::ostringstream out;
  out << toml::json_formatter{toml::parse(text)};
  return json::parse(out.str());
}

// What is used is what a run saves with its checkpoints.
template <class Config>
void check_used(const Config& config, const std::string& bytes) {
  check_agrees(json_of_toml(bytes), json_of_toml(to_toml(config)));
}

void read_train(const Path& path, const std::string& bytes) { check_used(load_train_config(path), bytes); }

template <class Config>
void read(const Path& path, const std::string& bytes) {
  check_used(load_toml<Config>(path), bytes);
}

}  // namespace

std::vector<Target> training_targets(const Path& folder) {
  const std::string finetune = "init = '" + (folder / "model").string() + "'\n" + kFinetune;
  return {{"training configs", "run.toml", {kScratch, finetune}, mutate, read_train},
          {"VAE training configs", "run.toml", {kVae}, mutate, read<VaeTrainConfig>},
          {"text training configs", "run.toml", {kText}, mutate, read<TextTrainConfig>},
          {"story configs", "run.toml", {kStories}, mutate, read<PrepareConfig>},
          {"film configs", "run.toml", {kFilms}, mutate, read<FilmsConfig>}};
}

}  // namespace moga::test
