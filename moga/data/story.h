// Stories: a seeded procedural world of persons, places and shots. A story is planned on the host (this file), told in
// captions, and drawn by ATen operations on any device (story_render.h).
//
// A person's attributes are told only in the caption of the shot in which that person first appears; later captions
// use the name. The geometry of a shot (kind, action, side) is told in every caption and determines where a person's
// parts are, so that the colour of a hat can be measured in generated frames.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

namespace moga {

struct StoryConfig {
  int64_t width = 224, height = 128;
  int64_t frames = 129;          // pixel frames, 1 + 4k
  int64_t min_shots = 4, max_shots = 4;
  int64_t max_persons = 2;
  double away = 0.5;             // probability that a story has a person who is away for a shot and comes back

  void validate() const;
  template <class Fields>
  void fields(Fields& field) {
    field("width", width, "pixels");
    field("height", height, "pixels");
    field("frames", frames, "pixel frames a story, 1 + 4k");
    field("min_shots", min_shots, "fewest shots");
    field("max_shots", max_shots, "most shots");
    field("max_persons", max_persons, "most persons");
    field("away", away, "probability of a person who leaves for a shot and comes back");
  }
};

struct Palette {
  struct Entry {
    std::string name;
    std::array<float, 3> rgb;  // sRGB in [0, 1]
  };
  static const std::vector<Entry>& clothes();  // 8 colours, far apart: hats, shirts
  static const std::vector<Entry>& trousers();
  static const std::vector<Entry>& hair();
  static const std::vector<Entry>& skin();
};

struct Person {
  std::string name;
  int64_t hat_kind, hat_colour, hair_colour, skin_colour, shirt_colour, trouser_colour;  // indices
};

struct StoryShot {
  int64_t kind;                  // wide, medium, close-up, pan, two-shot
  int64_t first_frame, frames;   // pixel frames
  std::vector<int64_t> persons;  // indices into Story::persons, at most 2
  std::vector<int64_t> actions;  // walk, wave, jump, turn, stand; one a person
  std::vector<int64_t> sides;    // left, middle, right; one a person
  std::string caption;
};

struct Story {
  uint64_t seed;
  StoryConfig config;
  std::vector<Person> persons;
  int64_t place;
  std::vector<StoryShot> shots;

  std::vector<std::string> captions() const;
  std::vector<int64_t> latent_shot_frames() const;  // a cut lies between latent frames: shots end at pixel 4i + 1
};

// The story of this seed. Every choice comes from random_stream(seed, …).
Story plan_story(uint64_t seed, const StoryConfig& config);

}  // namespace moga
