#include "moga/serve/film_maker.h"

#include <chrono>

#include "moga/core/check.h"
#include "moga/core/log.h"
#include "moga/core/progress_watch.h"
#include "moga/pipeline/film_tags.h"
#include "moga/pipeline/generate.h"
#include "moga/pipeline/model_size.h"
#include "moga/pipeline/script_request.h"
#include "moga/serve/preview.h"

namespace moga {
namespace {

constexpr int64_t kMostSteps = 1000;
constexpr const char* kRequest = "request";

// Passes progress on, at most every 50 ms within a stage.
class ProgressReport {
 public:
  explicit ProgressReport(std::function<void(const std::function<void(JobProgress&)>&)> report)
      : report_(std::move(report)) {}

  void see(const ProgressState& state) {
    const auto now = std::chrono::steady_clock::now();
    const bool last = state.total > 0 && state.done >= state.total;
    if (state.label == stage_ && !last && now - told_ < std::chrono::milliseconds(50)) return;
    stage_ = state.label;
    told_ = now;
    report_([&](JobProgress& progress) {
      progress.stage = state.label;
      progress.unit = state.unit;
      progress.done = state.done;
      progress.total = state.total;
      progress.seconds_per_unit = state.seconds_per_unit;
    });
  }

 private:
  std::function<void(const std::function<void(JobProgress&)>&)> report_;
  std::string stage_;
  std::chrono::steady_clock::time_point told_;
};

// The same weights once more, for a generation that releases its own; a tokenizer cannot be shared.
Models sharing(const Models& models, const std::filesystem::path& folder) {
  return {Tokenizer(folder / "tokenizer" / "spiece.model"),
          models.text_encoder,
          models.transformer,
          models.vae,
          models.sampler,
          models.device,
          models.dtype,
          models.transformer_2,
          models.boundary,
          models.image_encoder,
          models.image_processor,
          models.expand_timesteps};
}

}  // namespace

FilmMaker::FilmMaker(ServedModel model) : model_(std::move(model)) {
  ModelConfigs configs = model_.configs;
  apply_settings(configs, model_.settings);
}

std::vector<std::string> FilmMaker::all_settings(const Script& script) const {
  std::vector<std::string> all = model_.settings;
  all.insert(all.end(), script.set.begin(), script.set.end());
  return all;
}

void FilmMaker::check(const Script& script) const {
  ModelConfigs configs = model_.configs;
  apply_settings(configs, all_settings(script), kRequest);
  moga::check(configs.sampler.steps <= kMostSteps, kRequest, ": ", configs.sampler.steps,
              " sampler steps, expected at most ", kMostSteps);
  check_script_images(script, configs);
}

std::vector<int64_t> FilmMaker::size() const { return model_size(model_.folder).value_or(Script().size); }

Models FilmMaker::load(const Script& script) {
  const std::vector<std::string> settings = all_settings(script);
  if (!model_.keep_loaded) return model_.load(script, settings);
  if (!loaded_ || loaded_->first != settings) {
    loaded_.reset();  // before the next ones take memory
    loaded_.emplace(settings, model_.load(script, settings));
  }
  return sharing(loaded_->second, model_.folder);
}

void FilmMaker::make(const Job& job, const JobFiles& files, const Report& report) {
  const bool kept = std::filesystem::exists(files.state);
  try {
    generate(job, files, report, kept);
  } catch (const Error& error) {
    if (!kept || !std::string(error.what()).starts_with(files.state.string() + ":")) throw;
    log_info(job.id, ": starts again: ", error.what());
    std::filesystem::remove(files.state);
    generate(job, files, report, false);
  }
}

void FilmMaker::generate(const Job& job, const JobFiles& files, const Report& report, bool resume) {
  ProgressReport progress(report);
  const ProgressWatch watch([&](const ProgressState& state) { progress.see(state); });
  Script script = job.script;
  script.set = all_settings(script);
  Previews previews(script.latent_shot_frames(model_.configs.pixels_per_token()), files.preview,
                    [&] { report([](JobProgress& state) { ++state.previews; }); });
  GenerateOptions options;
  options.keep = {files.state, resume, model_.keep_every};
  options.tags = film_tags(script, model_.name, model_.tool);
  options.watch.on_step = [&](const at::Tensor& latents, Codec& codec) { previews.see_latents(latents, codec); };
  options.watch.on_frames = [&](const at::Tensor& frames) { previews.see_frames(frames); };
  Models models = load(job.script);
  options.sampler = models.sampler;
  generate_files(script, std::move(models), options, files.film);
}

}  // namespace moga
