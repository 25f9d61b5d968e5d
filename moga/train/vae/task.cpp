// A step of the VAE: renew the pool, cut clips, encode, draw from the posterior, decode, loss, clipped
// AdamW, EMA. All random numbers are named by the step, so a resumed run draws the same. See task.h.
#include "moga/train/vae/task.h"

#include <ATen/Context.h>
#include <torch/types.h>

#include <cmath>
#include <iomanip>
#include <sstream>

#include "moga/core/check.h"
#include "moga/core/checksum.h"
#include "moga/core/config.h"
#include "moga/core/device.h"
#include "moga/core/files.h"
#include "moga/core/log.h"
#include "moga/core/random.h"
#include "moga/core/safetensors.h"
#include "moga/data/limits.h"
#include "moga/data/video/image.h"
#include "moga/data/video/video.h"
#include "moga/train/loop/out_of_memory.h"
#include "moga/train/loop/random_scope.h"
#include "moga/train/vae/film_clips.h"
#include "moga/train/vae/story_clips.h"

namespace moga {
namespace {

constexpr int64_t kHeldOutClips = 4;
constexpr int64_t kComparedFrames = 4;
constexpr double kMoving = 0.2;  // a tenth of the range from one frame to the next
constexpr double kFirstLogVariance = -5.0;

bool is_encoder(const std::string& parameter) {
  return parameter.starts_with("encoder.") || parameter.starts_with("conv1.");
}

// All keys must agree except the statistics of the latents, which a run computes or keeps.
void check_same_model(const VaeConfig& found, const VaeConfig& expected, const std::string& folder) {
  const nlohmann::json here = nlohmann::json::parse(to_json(found)), wanted = nlohmann::json::parse(to_json(expected));
  for (const auto& [key, value] : here.items())
    check(key.starts_with("latents_") || value == wanted.at(key), folder, " has ", key, " = ", value.dump(),
          ", the config says model.", key, " = ", wanted.at(key).dump());
}

Vae initial_vae(const VaeTrainConfig& config, at::Device device) {
  Vae vae = load_vae(config.init, device, at::kFloat);
  check_same_model(vae->config(), config.model, config.init);
  for (const auto& item : vae->named_parameters())
    item.value().requires_grad_(config.train_encoder || !is_encoder(item.key()));
  return vae;
}

Vae make_vae(const VaeTrainConfig& config, at::Device device) {
  config.validate();
  if (!config.init.empty()) return initial_vae(config, device);
  const RandomScope random(config.seed, "vae weights");
  Vae vae(config.model);
  // The posterior starts narrow: at deviation 1 the decoder sees noise and learns nothing in the first hundred steps.
  at::NoGradGuard no_grad;
  vae->named_parameters()["conv1.bias"].narrow(0, config.model.z_dim, config.model.z_dim).fill_(kFirstLogVariance);
  vae->to(device);
  return vae;
}

// The dtype in which the model is saved: bfloat16, or that of the file, so that a frozen encoder keeps its exact
// values.
at::ScalarType saved_dtype(const VaeTrainConfig& config) {
  if (config.train_encoder) return at::kBFloat16;
  const Safetensors file(config.init);
  for (const std::string& name : file.names())
    if (is_encoder(name)) return file.dtype(name);
  fail(config.init, " has no encoder");
}

// The shapes of a run never change, so cuDNN searches for the fastest convolution of each while one of these lives.
class FastestConvolutions {
 public:
  explicit FastestConvolutions(at::Device device) : before_(at::globalContext().benchmarkCuDNN()) {
    if (device.is_cuda()) at::globalContext().setBenchmarkCuDNN(true);
  }
  ~FastestConvolutions() { at::globalContext().setBenchmarkCuDNN(before_); }
  FastestConvolutions(const FastestConvolutions&) = delete;
  FastestConvolutions& operator=(const FastestConvolutions&) = delete;

 private:
  bool before_;
};

// Dropout is on inside the scope of one.
class TrainingMode {
 public:
  explicit TrainingMode(Vae& vae) : vae_(vae) { vae_->train(); }
  ~TrainingMode() { vae_->eval(); }
  TrainingMode(const TrainingMode&) = delete;
  TrainingMode& operator=(const TrainingMode&) = delete;

 private:
  Vae& vae_;
};

double psnr(double mean_squared) { return 10 * std::log10(4.0 / std::max(mean_squared, 1e-12)); }

double psnr_where(const at::Tensor& squared, const at::Tensor& mask) {
  return psnr(((squared * mask).mean() / mask.mean().clamp_min(1e-6)).item<double>());
}

// Evenly spaced frames of a clip [3, T, Y, X] as uint8 pictures.
std::vector<at::Tensor> pictures(const at::Tensor& clip) {
  const at::Tensor frames = to_uint8(clip.to(at::kFloat)).cpu();  // [T, 3, Y, X]
  std::vector<at::Tensor> row;
  for (int64_t i = 0; i < kComparedFrames; ++i) row.push_back(frames[i * (frames.size(0) - 1) / (kComparedFrames - 1)]);
  return row;
}

struct Pools {
  std::unique_ptr<ClipPool> training, held_out;
};

Pools story_pools(const VaeTrainConfig& config, at::Device device) {
  const auto seed = static_cast<uint64_t>(config.seed);
  return {std::make_unique<StoryClips>(StoryClips::Source{config.stories, seed, "vae stories", config.pool}, device),
          std::make_unique<StoryClips>(StoryClips::Source{config.stories, seed, "held-out vae stories", kHeldOutClips},
                                       device)};
}

Pools film_pools(const VaeTrainConfig& config, at::Device device) {
  const auto seed = static_cast<uint64_t>(config.seed);
  PreparedFilms films = read_prepared_films(config.data);
  const bool own = films.held_out.empty();
  if (own) log_info(config.data, ": no film is held out (encode.held_out), so films that are trained on are compared");
  auto held_out = std::make_unique<FilmClips>(FilmClips::Source{own ? films.samples : films.held_out, films.fps, seed,
                                                                "held-out vae films", kHeldOutClips, config.frames},
                                              device);
  auto training = std::make_unique<FilmClips>(
      FilmClips::Source{std::move(films.samples), films.fps, seed, "vae films", config.pool, config.frames}, device);
  if (training->left_out() > 0)
    log_info(config.data, ": ", training->left_out(), " samples are left out: they have fewer than ", config.frames,
             " frames");
  check(config.crop <= std::min(training->height(), training->width()), "crop = ", config.crop, ", expected at most ",
        std::min(training->height(), training->width()), ", the smallest side in ", config.data);
  check(config.crop > 0 || training->has_one_size(), "crop = 0, whole pictures, but those in ", config.data,
        " have several sizes; give a crop");
  return {std::move(training), std::move(held_out)};
}

}  // namespace

void VaeTrainConfig::validate() const {
  check(steps > 0 && batch > 0 && pool > 0, "steps = ", steps, ", batch = ", batch, ", pool = ", pool,
        ": all must be positive");
  check(frames > 0 && (frames - 1) % kLatentStride == 0, "frames = ", frames, ", expected 1 + ", kLatentStride, "k");
  check(!data.empty() || frames <= stories.frames, "frames = ", frames, ", expected at most ", stories.frames,
        ", the frames of a story");
  check(train_encoder || !init.empty(), "train_encoder = false needs init, the VAE whose encoder is kept");
  const int64_t side = kWanPixelsPerToken.rows;
  check(crop >= 0 && crop % side == 0, "crop = ", crop, ", expected a multiple of ", side, "; 0 for whole pictures");
  const int64_t widest = std::min(stories.height, stories.width);
  check(!data.empty() || crop <= widest, "crop = ", crop, ", expected at most ", widest,
        ", the smaller side of a story");
  check(renew_every >= 0 && sample_every >= 0 && log_every > 0 && checkpoint_every > 0 && keep_checkpoints > 0,
        "intervals must be positive; renew_every and sample_every may be 0");
  check(statistics_clips > 0, "statistics_clips = ", statistics_clips, ", expected at least 1");
}

VaeTask::VaeTask(const VaeTrainConfig& config)
    : config_(config),
      device_(parse_device(config.device)),
      dtype_(compute_dtype(config.dtype, device_)),
      vae_(make_vae(config, device_)),
      parameters_(named_parameters(*vae_)),
      optimizer_(parameters_, config.optimizer),
      ema_(parameters_, config.ema) {
  Pools pools = config.data.empty() ? story_pools(config, device_) : film_pools(config, device_);
  clips_ = std::move(pools.training);
  held_out_ = std::move(pools.held_out);
  vae_->eval();
}

std::string VaeTask::summary() const {
  std::ostringstream text;
  text << "a VAE of " << static_cast<double>(element_count(parameters_)) / 1e6 << " M parameters on "
       << device_name(device_) << ", computing in " << dtype_name(dtype_);
  return text.str();
}

std::string VaeTask::config_toml() const { return to_toml(config_); }

nlohmann::json VaeTask::identity() const {
  nlohmann::json identity = {{"seed", config_.seed},
                             {"init", config_.init},
                             {"train_encoder", config_.train_encoder},
                             {"pool", config_.pool},
                             {"renew_every", config_.renew_every},
                             {"model", nlohmann::json::parse(to_json(config_.model))}};
  if (config_.data.empty()) {
    identity["stories"] = nlohmann::json::parse(to_json(config_.stories));
  } else {
    identity["data"] = file_checksum(std::filesystem::path(config_.data) / "merge.jsonl");
    identity["frames"] = config_.frames;
  }
  return identity;
}

TrainParts VaeTask::parts() const {
  return {{"model", parameters_}, {"ema", ema_.weights()}, {"optimizer", optimizer_.state()}};
}

// The number of stories or film clips drawn by train step `step`, counted from 0: the pool follows from it alone.
int64_t VaeTask::drawn_by(int64_t step) const {
  return config_.pool + (config_.renew_every > 0 ? step / config_.renew_every : 0);
}

StepReport VaeTask::step(const TrainPosition& position) {
  const int64_t step = position.step;
  const FastestConvolutions fastest(device_);
  const TrainingMode training(vae_);
  const RandomScope random(config_.seed, "vae dropout", step, device_);
  clips_->advance(drawn_by(step));
  const bool whole = config_.crop == 0;
  const Clips clips = clips_->draw(
      {config_.batch, config_.frames, whole ? clips_->height() : config_.crop, whole ? clips_->width() : config_.crop},
      random_stream(config_.seed, "vae clips", step));
  optimizer_.zero_grad();
  const VaeLoss loss = forward(clips, step);
  loss.total.backward();
  const double lr = learning_rate(config_.schedule, config_.lr, step, config_.steps);
  const AdamW::Step update = optimizer_.step(lr);
  ema_.update(step);
  return {.lr = lr,
          .values = {{"loss", loss.total},
                     {"absolute", loss.absolute},
                     {"squared", loss.squared},
                     {"kl", loss.kl},
                     {"gradient_norm", update.gradient_norm}},
          .skipped = update.skipped,
          .counts = {},
          .throughput = {{"clips", config_.batch}}};
}

Posterior VaeTask::encode(const at::Tensor& video) {
  const at::AutoGradMode gradients(config_.train_encoder);
  const auto [mean, log_variance] = vae_->encode_moments(video.to(dtype_));
  return {mean.to(at::kFloat), log_variance.to(at::kFloat)};
}

VaeLoss VaeTask::forward(const Clips& clips, int64_t step) {
  const Posterior posterior = encode(clips.video);
  const at::Tensor noise = at::randn(
      posterior.mean.sizes(), random_stream(config_.seed, "vae posterior", step, device_), posterior.mean.options());
  const at::Tensor latent = posterior.mean + (0.5 * posterior.log_variance).exp() * noise;
  return vae_loss(config_.loss, vae_->decode_raw(latent.to(dtype_)), clips.video, clips.detail,
                  config_.train_encoder ? posterior : Posterior());
}

void VaeTask::complete(nlohmann::json& line, const at::Tensor&) const {
  line["psnr"] = psnr(line.at("squared").get<double>());
  line.erase("squared");
}

std::string VaeTask::note(const nlohmann::json& line) const {
  std::ostringstream note;
  note << std::fixed << std::setprecision(4) << "loss " << line.at("loss").get<double>() << std::setprecision(2)
       << "  psnr " << line.at("psnr").get<double>() << "  kl " << line.at("kl").get<double>();
  return note.str();
}

nlohmann::json VaeTask::sample(const TrainPosition&, const std::filesystem::path& prefix) {
  const at::NoGradGuard no_grad;
  const FastestConvolutions fastest(device_);
  const EmaScope averaged(ema_);
  held_out_->advance(kHeldOutClips);
  const Clips clips = held_out_->whole(0, kHeldOutClips, config_.frames);
  const at::Tensor latent = vae_->encode_moments(clips.video.to(dtype_)).first;
  const at::Tensor result = vae_->decode_raw(latent).to(at::kFloat).clamp(-1, 1);
  std::vector<std::vector<at::Tensor>> rows;
  for (int64_t i = 0; i < kHeldOutClips; ++i) {
    rows.push_back(pictures(clips.video[i]));
    rows.push_back(pictures(result[i]));
  }
  save_png(prefix.string() + ".png", tile_images(rows));
  const at::Tensor squared = (result - clips.video).square();
  nlohmann::json measured = {
      {"held_out_psnr", psnr(squared.mean().item<double>())},
      {"held_out_moving_psnr", psnr_where(squared, (motion_map(clips.video) > kMoving).to(at::kFloat))}};
  if (held_out_->has_detail())
    measured["held_out_head_psnr"] = psnr_where(squared, (clips.detail > 1.5).to(at::kFloat));
  return measured;
}

// Over whole pictures of the pool after `steps` train steps, with the averaged weights.
void VaeTask::compute_statistics(int64_t steps) {
  const at::NoGradGuard no_grad;
  const FastestConvolutions fastest(device_);
  at::Tensor sum, squares;  // [z] float64
  int64_t count = 0;
  const int64_t at_once = std::max<int64_t>(1, config_.batch / 2);
  clips_->advance(drawn_by(std::max<int64_t>(0, steps - 1)));
  for (int64_t done = 0; done < config_.statistics_clips; done += at_once) {
    const Clips clips = clips_->draw({at_once, config_.frames, clips_->height(), clips_->width()},
                                     random_stream(config_.seed, "vae statistics", done));
    const at::Tensor latent = vae_->encode_moments(clips.video.to(dtype_)).first.to(at::kDouble);
    const at::Tensor now = latent.sum({0, 2, 3, 4}), now_squares = latent.square().sum({0, 2, 3, 4});
    sum = sum.defined() ? sum + now : now;
    squares = squares.defined() ? squares + now_squares : now_squares;
    count += latent.numel() / latent.size(1);
  }
  const at::Tensor mean = (sum / count).cpu();
  const at::Tensor deviation = (squares.cpu() / count - mean.square()).clamp_min(1e-12).sqrt();
  const auto values = [](const at::Tensor& x) {
    return std::vector<double>(x.const_data_ptr<double>(), x.const_data_ptr<double>() + x.numel());
  };
  vae_->set_statistics(values(mean), values(deviation));
}

std::string VaeTask::save_model(const TrainPosition& position, const std::filesystem::path& folder) {
  const EmaScope averaged(ema_);
  if (config_.train_encoder) compute_statistics(position.step);
  write_folder_atomically(folder, Existing::kReplace, [&](const std::filesystem::path& temporary) {
    save_vae(temporary, vae_, saved_dtype(config_), WeightLayout::kDiffusers);
  });
  return "VAE in " + folder.string();
}

LoopConfig loop_config(const VaeTrainConfig& config) { return loop_config_of(config, config.sample_every); }

TrainEnd train_vae(const VaeTrainConfig& config, const std::string& resume) {
  const LoopConfig loop = loop_config(config);
  const std::optional<Checkpoint> checkpoint = begin_run(config.out, resume);
  return explain_out_of_memory({loop.device, "", "a smaller batch, crop, pool or frames"}, [&] {
    VaeTask task(config);
    return Trainer(task, loop, checkpoint).run();
  });
}

}  // namespace moga
