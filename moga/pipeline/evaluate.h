// Evaluation on held-out stories: does attention carry a person's colours from the shot whose caption
// names them to the other shots?
// Stories are planned, generated from their captions (an image-to-video model is also given the rendered first frame of
// each shot), decoded and measured (moga/data/story/measure.h).
#pragma once

#include "moga/data/story/measure.h"
#include "moga/pipeline/denoise.h"

namespace moga {

struct StoryEvaluationConfig {
  int64_t stories = 64;
  int64_t first_seed = 1'000'000'000;  // far beyond the seeds that training draws from
  int64_t batch = 8;                   // stories denoised together
  int64_t sheet_stories = 6;           // shown on the contact sheet
  SamplerConfig sampler;
  StoryConfig story;

  void validate() const;
  template <class Fields>
  void fields(Fields& field) {
    field("stories", stories, "held-out stories");
    field("first_seed", first_seed, "seed of the first story; the others count on");
    field("batch", batch, "stories denoised together");
    field("sheet_stories", sheet_stories, "stories on the contact sheet");
    field("sampler", sampler, "sampler");
    field("story", story, "the world that stories are drawn from");
  }
};

struct StoryEvaluation {
  std::vector<std::vector<ColourReading>> readings;  // of each story
  std::vector<ColourScore> by_shot;                  // shots whose caption does not mention the colours
  ColourScore returning;                             // of these, persons who return after an absence
  ColourScore all;
  ColourScore told;  // for comparison: shots whose caption names the colours
  double seconds = 0;
};

// Writes <folder>/evaluation.json (config, scores, every reading) and <folder>/stories.png (each story generated above
// the original, two frames per shot). On several ranks each evaluates whole batches; all get the same result, which
// rank 0 writes. The batches, and with them the readings, are those of one rank.
StoryEvaluation evaluate_stories(Models& models, const StoryEvaluationConfig& config,
                                 const std::filesystem::path& folder, const ProcessGroup& ranks = {});

// The scores as a table for people.
std::string score_table(const StoryEvaluation& evaluation);

}  // namespace moga
