// See evaluate.h. Stories are generated, decoded and measured a batch at a time, on several ranks one batch on each at
// a time; only the pictures of the contact sheet are kept. Results are written after every round, so that an
// interrupted run reports those it has.
#include "moga/pipeline/evaluate.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <functional>
#include <future>
#include <iterator>
#include <nlohmann/json.hpp>

#include "moga/core/config.h"
#include "moga/core/device.h"
#include "moga/core/files.h"
#include "moga/core/format.h"
#include "moga/core/interrupt.h"
#include "moga/core/log.h"
#include "moga/data/story/render.h"
#include "moga/data/video/image.h"
#include "moga/data/video/video.h"
#include "moga/pipeline/images.h"
#include "moga/pipeline/story_batch.h"
#include "moga/pipeline/story_files.h"

namespace moga {
namespace {

using Pictures = std::vector<std::vector<at::Tensor>>;

// With `images` each shot is given its drawn first frame.
VideoRequest make_request(const Story& story, const Strides& pixels_per_token, bool images) {
  VideoRequest request;
  request.shape = video_shape({story.config.width, story.config.height}, story.latent_shot_frames(), pixels_per_token);
  request.captions = story.captions();
  request.seed = static_cast<int64_t>(story.seed);
  for (size_t shot = 0; images && shot < story.shots.size(); ++shot)
    request.images.push_back({.first = first_frame(story, story.shots[shot]), .last = {}});
  return request;
}

// Latents of one shape → uint8 [T, 3, Y, X] of each story, on the CPU. Decoded together: one story does not fill a GPU.
std::vector<at::Tensor> decode_stories(Models& models, const std::vector<at::Tensor>& latents) {
  const at::NoGradGuard no_grad;
  const StopInside stop_inside;
  std::vector<std::vector<at::Tensor>> pieces(latents.size());
  models.vae->decode(at::stack(latents), [&](const at::Tensor& frames) {
    for (size_t i = 0; i < latents.size(); ++i) pieces[i].push_back(to_uint8(frames[static_cast<int64_t>(i)]).cpu());
  });
  std::vector<at::Tensor> videos;
  for (const auto& frames : pieces) videos.push_back(at::cat(frames));
  return videos;
}

// With a GPU the processor's cores are free: one story per core. Without one, ATen uses its threads in each operation.
std::vector<std::vector<ColourReading>> measure_stories(const std::vector<at::Tensor>& videos,
                                                        const std::vector<Story>& stories, c10::Device device) {
  std::vector<std::future<std::vector<ColourReading>>> readings;
  for (size_t i = 0; i < stories.size(); ++i)
    readings.push_back(std::async(device.is_cpu() ? std::launch::deferred : std::launch::async, [&, i] {
      if (!device.is_cpu()) at::set_num_threads(1);
      return measure_story(videos[i], stories[i]);
    }));
  std::vector<std::vector<ColourReading>> result;
  for (auto& reading : readings) result.push_back(reading.get());
  return result;
}

// A row of generated frames and, below it, the same frames of the original.
void add_pictures(Pictures& rows, const Story& story, const at::Tensor& frames) {
  std::vector<at::Tensor> generated, original;
  for (const StoryShot& shot : story.shots)
    for (const int64_t quarter : {1, 3}) {
      const int64_t t = shot.first_frame + quarter * shot.frames / 4;
      generated.push_back(frames[t].cpu());
      original.push_back(render_story(story, at::kCPU, false, t, t + 1).frames[0]);
    }
  rows.push_back(generated);
  rows.push_back(original);
}

std::vector<ColourReading> readings_where(const StoryEvaluation& evaluation,
                                          const std::function<bool(const ColourReading&)>& wanted) {
  std::vector<ColourReading> result;
  for (const auto& story : evaluation.readings) std::ranges::copy_if(story, std::back_inserter(result), wanted);
  return result;
}

void update_scores(StoryEvaluation& evaluation) {
  const auto untold = readings_where(evaluation, [](const ColourReading& reading) { return !reading.told; });
  evaluation.by_shot = score_by_shot(untold);
  evaluation.all = score_all(untold);
  evaluation.returning = score_all(
      readings_where(evaluation, [](const ColourReading& reading) { return !reading.told && reading.returns; }));
  evaluation.told = score_all(readings_where(evaluation, [](const ColourReading& reading) { return reading.told; }));
}

// Without a case there is no accuracy: null.
nlohmann::json to_json(const ColourScore& score) {
  nlohmann::json json = {{"shot", score.shot + 1},
                         {"cases", score.cases},
                         {"hats_right", score.hats_right},
                         {"shirts_right", score.shirts_right},
                         {"accuracy", nullptr}};
  if (score.cases > 0) json["accuracy"] = score.accuracy();
  return json;
}

nlohmann::json to_json(const ColourReading& reading) {
  return {{"shot", reading.shot + 1},
          {"person", reading.person},
          {"first_seen_shot", reading.first_seen_shot + 1},
          {"told", reading.told},
          {"returns", reading.returns},
          {"hat_right", reading.hat_right},
          {"shirt_right", reading.shirt_right},
          {"hat_share", reading.hat_share},
          {"shirt_share", reading.shirt_share}};
}

nlohmann::json to_json(const StoryEvaluation& evaluation, const StoryEvaluationConfig& config, const Models& models) {
  nlohmann::json json;
  json["config"] = nlohmann::json::parse(moga::to_json(config));
  json["device"] = device_name(models.device);
  json["dtype"] = dtype_name(models.dtype);
  json["seconds"] = evaluation.seconds;
  for (const auto& [name, score] :
       {std::pair{"all", evaluation.all}, {"returning", evaluation.returning}, {"told", evaluation.told}}) {
    json[name] = to_json(score);
    json[name].erase("shot");
  }
  for (const ColourScore& score : evaluation.by_shot) json["by_shot"].push_back(to_json(score));
  for (size_t i = 0; i < evaluation.readings.size(); ++i) {
    nlohmann::json story{{"seed", config.first_seed + static_cast<int64_t>(i)}, {"readings", nlohmann::json::array()}};
    for (const ColourReading& reading : evaluation.readings[i]) story["readings"].push_back(to_json(reading));
    json["stories"].push_back(story);
  }
  return json;
}

std::string table_row(const std::string& name, const ColourScore& score) {
  char text[120];
  if (score.cases == 0) {  // no number rather than 0 %
    std::snprintf(text, sizeof text, "%-10s %6d %10s %10s %10s\n", name.c_str(), 0, "-", "-", "-");
    return text;
  }
  const auto cases = static_cast<double>(score.cases);
  std::snprintf(text, sizeof text, "%-10s %6lld %8.1f %% %8.1f %% %8.1f %%\n", name.c_str(),
                static_cast<long long>(score.cases), 100.0 * static_cast<double>(score.hats_right) / cases,
                100.0 * static_cast<double>(score.shirts_right) / cases, 100.0 * score.accuracy());
  return text;
}

// The stories of one batch from number `begin` on; none beyond the last story.
StoryBatch evaluate_batch(Models& models, const StoryEvaluationConfig& config, int64_t begin) {
  const bool images = models.transformer->config().conditioning().channels > 0;
  std::vector<Story> stories;
  std::vector<VideoRequest> requests;
  for (int64_t i = begin; i < std::min(config.stories, begin + config.batch); ++i) {
    stories.push_back(plan_story(static_cast<uint64_t>(config.first_seed + i), config.story));
    requests.push_back(make_request(stories.back(), models.pixels_per_token(), images));
  }
  StoryBatch batch;
  if (stories.empty()) return batch;
  const Conditions conditions = encode_conditions(models, requests, config.sampler);
  const auto videos = decode_stories(models, denoise(models, requests, conditions, {.sampler = config.sampler}));
  batch.readings = measure_stories(videos, stories, models.device);
  for (size_t i = 0; i < stories.size() && begin + static_cast<int64_t>(i) < config.sheet_stories; ++i)
    add_pictures(batch.pictures, stories[i], videos[i]);
  return batch;
}

struct Results {
  const StoryEvaluationConfig& config;
  const Models& models;
  const std::filesystem::path& folder;
};

void write_results(const StoryEvaluation& evaluation, const Pictures& pictures, const Results& of) {
  write_text(of.folder / "evaluation.json", to_json(evaluation, of.config, of.models).dump(2) + "\n");
  if (!pictures.empty()) save_png(of.folder / "stories.png", tile_images(pictures));
  log_info("evaluated ", evaluation.readings.size(), " of ", of.config.stories, " stories, ",
           evaluation.all.cases > 0 ? formatted("accuracy so far %.3f", evaluation.all.accuracy()) : "no case so far");
}

}  // namespace

void StoryEvaluationConfig::validate() const {
  check(stories >= 1, "stories is ", stories, ", expected at least 1");
  check(batch >= 1, "batch is ", batch, ", expected at least 1");
  check(first_seed >= 0, "first_seed is ", first_seed, ", expected at least 0");
  sampler.validate();
  story.validate();
}

StoryEvaluation evaluate_stories(Models& models, const StoryEvaluationConfig& config,
                                 const std::filesystem::path& folder, const ProcessGroup& ranks) {
  config.validate();
  check_story_codec(models.vae->config().strides());
  const auto start = std::chrono::steady_clock::now();
  StoryEvaluation evaluation;
  Pictures pictures;
  for (int64_t begin = 0; begin < config.stories; begin += ranks.size() * config.batch) {
    const StoryBatch own = evaluate_batch(models, config, begin + ranks.rank() * config.batch);
    for (StoryBatch& batch : all_gather_batches(ranks, own)) {
      std::ranges::move(batch.readings, std::back_inserter(evaluation.readings));
      std::ranges::move(batch.pictures, std::back_inserter(pictures));
    }
    update_scores(evaluation);
    evaluation.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    if (ranks.rank() == 0) write_results(evaluation, pictures, {config, models, folder});
  }
  return evaluation;
}

std::string score_table(const StoryEvaluation& evaluation) {
  char head[120];
  std::snprintf(head, sizeof head, "%-10s %6s %10s %10s %10s\n", "shot", "cases", "hats", "shirts", "both");
  std::string table = head;
  for (const ColourScore& score : evaluation.by_shot)
    if (score.cases > 0) table += table_row(std::to_string(score.shot + 1), score);
  table += table_row("returning", evaluation.returning);
  table += table_row("all", evaluation.all);
  return table + table_row("(told)", evaluation.told);
}

}  // namespace moga
