// The training loop of the VAE. A step: renew the pool of stories, cut clips, encode, draw from the posterior, decode,
// loss, clipped AdamW, EMA. All random numbers are named by the step, so a resumed run draws the same. See
// vae_trainer.h.
#include "moga/train/vae/trainer.h"

#include <torch/types.h>

#include <cmath>
#include <iomanip>

#include "moga/core/check.h"
#include "moga/core/config.h"
#include "moga/core/device.h"
#include "moga/core/files.h"
#include "moga/core/interrupt.h"
#include "moga/core/random.h"
#include "moga/core/safetensors.h"
#include "moga/data/video/image.h"
#include "moga/data/video/video.h"

namespace moga {
namespace {

constexpr int64_t kHeldOutStories = 4;
constexpr int64_t kComparedFrames = 4;
constexpr double kMoving = 0.2;  // a tenth of the range from one frame to the next
constexpr double kFirstLogVariance = -5.0;

bool is_encoder(const std::string& parameter) {
  return parameter.starts_with("encoder.") || parameter.starts_with("conv1.");
}

// All keys must agree but the latents' statistics, which a run computes or keeps.
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
  at::manual_seed(random_key(config.seed, "vae weights"));
  Vae vae(config.model);
  // A posterior that begins narrow: at deviation 1 the decoder sees noise, and the first hundred steps teach nothing.
  at::NoGradGuard no_grad;
  vae->named_parameters()["conv1.bias"].narrow(0, config.model.z_dim, config.model.z_dim).fill_(kFirstLogVariance);
  vae->to(device);
  return vae;
}

// bfloat16, or what keeps a frozen encoder exactly as its file has it.
at::ScalarType saved_dtype(const VaeTrainConfig& config) {
  if (config.train_encoder) return at::kBFloat16;
  const Safetensors file(config.init);
  for (const std::string& name : file.names())
    if (is_encoder(name)) return file.dtype(name);
  fail(config.init, " has no encoder");
}

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

}  // namespace

void VaeTrainConfig::validate() const {
  check(steps > 0 && batch > 0 && pool > 0, "steps = ", steps, ", batch = ", batch, ", pool = ", pool,
        ": all must be positive");
  check(frames % 4 == 1 && frames <= stories.frames, "frames = ", frames, ", expected 1 + 4k and at most ",
        stories.frames, ", the frames of a story");
  check(train_encoder || !init.empty(), "train_encoder = false needs init, the VAE whose encoder is kept");
  check(crop >= 0 && crop % 16 == 0 && crop <= stories.height && crop <= stories.width, "crop = ", crop,
        ", expected a multiple of 16 and at most ", std::min(stories.height, stories.width), "; 0 for whole pictures");
  check(renew_every >= 0 && sample_every >= 0 && log_every > 0 && checkpoint_every > 0 && keep_checkpoints > 0,
        "intervals must be positive; renew_every and sample_every may be 0");
  check(statistics_clips > 0, "statistics_clips = ", statistics_clips, ", expected at least 1");
}

VaeTrainer::VaeTrainer(const VaeTrainConfig& config, const std::optional<Checkpoint>& checkpoint)
    : config_(config),
      run_(config.out),
      device_(parse_device(config.device)),
      dtype_(compute_dtype(config.dtype, device_)),
      vae_(make_vae(config, device_)),
      parameters_(named_parameters(*vae_)),
      optimizer_(parameters_, config.optimizer),
      ema_(parameters_, config.ema),
      clips_({config.stories, static_cast<uint64_t>(config.seed), "vae stories", config.pool}, device_),
      held_out_({config.stories, static_cast<uint64_t>(config.seed), "held-out vae stories", kHeldOutStories},
                device_) {
  if (checkpoint) load(*checkpoint);
  // Shapes never change, so the fastest convolution of each is worth a search.
  if (device_.is_cuda()) at::globalContext().setBenchmarkCuDNN(true);
  log_info(to_toml(config));
  write_text(run_ / "config.toml", to_toml(config));
  log_ = std::make_unique<JsonLog>(run_ / "log.jsonl");
  log_info("train a VAE of ", element_count(parameters_) / 1e6, " M parameters on ", device_name(device_),
           ", computing in ", dtype_name(dtype_), ", run ", run_.string());
}

TrainEnd VaeTrainer::run(int64_t stop_after) {
  const int64_t stop_at = stop_after < 0 ? -1 : step_ + stop_after;
  Progress progress("train vae", config_.steps, "step", step_);
  TrainEnd end = TrainEnd::done;
  vae_->train();
  if (step_ == 0 && !config_.init.empty() && config_.sample_every > 0) compare();  // what there is to improve
  while (step_ < config_.steps) {
    train_step();
    ++step_;
    after_step(progress);
    if (interrupted() || step_ == stop_at) end = TrainEnd::interrupted;
    if (config_.max_minutes > 0 && clock_.seconds() > 60 * config_.max_minutes) end = TrainEnd::out_of_time;
    if (end != TrainEnd::done) break;
  }
  finish(end);
  return end;
}

VaeLoss VaeTrainer::train_step() {
  clips_.advance(config_.pool + (config_.renew_every > 0 ? step_ / config_.renew_every : 0));
  const bool whole = config_.crop == 0;
  const Clips clips = clips_.draw({config_.batch, config_.frames, whole ? config_.stories.height : config_.crop,
                                   whole ? config_.stories.width : config_.crop},
                                  random_stream(config_.seed, "vae clips", step_));
  optimizer_.zero_grad();
  const VaeLoss loss = forward(clips);
  loss.total.backward();
  const AdamW::Step update = optimizer_.step(learning_rate(config_.schedule, config_.lr, step_, config_.steps));
  ema_.update(step_);
  measure(loss, update);
  return loss;
}

Posterior VaeTrainer::encode(const at::Tensor& video) {
  const at::AutoGradMode gradients(config_.train_encoder);
  const auto [mean, log_variance] = vae_->encode_moments(video.to(dtype_));
  return {mean.to(at::kFloat), log_variance.to(at::kFloat)};
}

VaeLoss VaeTrainer::forward(const Clips& clips) {
  const Posterior posterior = encode(clips.video);
  const at::Tensor noise = at::randn(
      posterior.mean.sizes(), random_stream(config_.seed, "vae posterior", step_, device_), posterior.mean.options());
  const at::Tensor latent = posterior.mean + (0.5 * posterior.log_variance).exp() * noise;
  return vae_loss(config_.loss, vae_->decode_raw(latent.to(dtype_)), clips.video, clips.detail,
                  config_.train_encoder ? posterior : Posterior());
}

void VaeTrainer::measure(const VaeLoss& loss, const AdamW::Step& update) {
  // A step that was skipped for its gradient counts as such and puts no NaN into the means.
  const at::Tensor values =
      at::stack({loss.total.detach(), loss.absolute, loss.squared, loss.kl, update.gradient_norm}).nan_to_num(0, 0, 0);
  const at::Tensor now = at::cat({values * (1.0 - update.skipped), update.skipped.unsqueeze(0)});
  sums_ = sums_.defined() ? sums_ + now : now;
}

void VaeTrainer::after_step(Progress& progress) {
  if (step_ % config_.log_every == 0) note_ = log();
  progress.advance(1, note_);
  if (step_ % config_.checkpoint_every == 0) save();
  if (config_.sample_every > 0 && step_ % config_.sample_every == 0) compare();
}

std::string VaeTrainer::log() {
  const int64_t steps = step_ - logged_step_;
  const at::Tensor sums = sums_.to(at::kDouble).cpu();
  const int64_t skipped = std::llround(sums[5].item<double>());
  const at::Tensor means = sums / std::max<int64_t>(1, steps - skipped);  // of the steps that were taken
  const double* mean = means.const_data_ptr<double>();
  const double now = clock_.seconds(), step_seconds = (now - logged_seconds_) / static_cast<double>(steps);
  log_->write({{"step", step_},
               {"seconds", now},
               {"lr", learning_rate(config_.schedule, config_.lr, step_ - 1, config_.steps)},
               {"loss", mean[0]},
               {"absolute", mean[1]},
               {"psnr", psnr(mean[2])},
               {"kl", mean[3]},
               {"gradient_norm", mean[4]},
               {"skipped", skipped},
               {"step_seconds", step_seconds},
               {"clips_per_second", static_cast<double>(config_.batch) / step_seconds},
               {"peak_bytes", peak_memory(device_)}});
  check(skipped < steps, "no finite gradient in the ", steps, " steps before step ", step_);
  sums_ = at::Tensor();
  logged_step_ = step_;
  logged_seconds_ = now;
  std::ostringstream note;
  note << std::fixed << std::setprecision(4) << "loss " << mean[0] << std::setprecision(2) << "  psnr " << psnr(mean[2])
       << "  kl " << mean[3];
  return note.str();
}

void VaeTrainer::compare() {
  const at::NoGradGuard no_grad;
  const EmaScope averaged(ema_);
  held_out_.advance(kHeldOutStories);
  const Clips clips = held_out_.whole(0, kHeldOutStories, config_.frames);
  const at::Tensor latent = vae_->encode_moments(clips.video.to(dtype_)).first;
  const at::Tensor result = vae_->decode_raw(latent).to(at::kFloat).clamp(-1, 1);
  std::vector<std::vector<at::Tensor>> rows;
  for (int64_t i = 0; i < kHeldOutStories; ++i) {
    rows.push_back(pictures(clips.video[i]));
    rows.push_back(pictures(result[i]));
  }
  save_png(run_ / "samples" / (step_name(step_) + ".png"), tile_images(rows));
  const at::Tensor squared = (result - clips.video).square();
  log_->write({{"step", step_},
               {"held_out_psnr", psnr(squared.mean().item<double>())},
               {"held_out_head_psnr", psnr_where(squared, (clips.detail > 1.5).to(at::kFloat))},
               {"held_out_moving_psnr", psnr_where(squared, (motion_map(clips.video) > kMoving).to(at::kFloat))}});
}

// Over whole pictures of training stories, with the averaged weights.
void VaeTrainer::compute_statistics() {
  const at::NoGradGuard no_grad;
  at::Tensor sum, squares;  // [z] float64
  int64_t count = 0;
  const int64_t at_once = std::max<int64_t>(1, config_.batch / 2);
  clips_.advance(std::max(config_.pool, clips_.drawn()));
  for (int64_t done = 0; done < config_.statistics_clips; done += at_once) {
    const Clips clips = clips_.draw({at_once, config_.frames, config_.stories.height, config_.stories.width},
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

void VaeTrainer::finish(TrainEnd end) {
  save();
  if (end == TrainEnd::interrupted) {
    log_info("interrupted after step ", step_, "; go on with --resume auto");
    return;
  }
  if (config_.sample_every > 0 && step_ % config_.sample_every != 0) compare();
  const EmaScope averaged(ema_);
  if (config_.train_encoder) compute_statistics();
  save_vae(run_ / "model", vae_, saved_dtype(config_));
  log_info(end == TrainEnd::out_of_time ? "time is up after step " : "done after step ", step_, ": VAE in ",
           (run_ / "model").string());
}

TrainParts VaeTrainer::parts() const {
  return {{"model", parameters_}, {"ema", ema_.weights()}, {"optimizer", optimizer_.state()}};
}

nlohmann::json VaeTrainer::identity() const {
  return {{"seed", config_.seed},
          {"init", config_.init},
          {"train_encoder", config_.train_encoder},
          {"pool", config_.pool},
          {"renew_every", config_.renew_every},
          {"model", nlohmann::json::parse(to_json(config_.model))},
          {"stories", nlohmann::json::parse(to_json(config_.stories))}};
}

void VaeTrainer::load(const Checkpoint& checkpoint) {
  check_same_run(checkpoint.state.at("identity"), identity(), checkpoint.folder.string());
  restore_parts(parts(), checkpoint, device_);
  step_ = saved_step_ = logged_step_ = checkpoint.step;
  logged_seconds_ = checkpoint.state.at("seconds").get<double>();
  clock_.go_on_from(logged_seconds_);
}

void VaeTrainer::save() {
  if (saved_step_ == step_) return;
  const CheckpointContents contents = {.step = step_,
                                       .state = {{"seconds", clock_.seconds()}, {"identity", identity()}},
                                       .parts = to_maps(parts()),
                                       .config = to_toml(config_)};
  save_checkpoint(run_, contents, config_.keep_checkpoints);
  saved_step_ = step_;
}

TrainEnd train_vae(const VaeTrainConfig& config, const std::string& resume) {
  return VaeTrainer(config, begin_run(config.out, resume)).run();
}

}  // namespace moga
