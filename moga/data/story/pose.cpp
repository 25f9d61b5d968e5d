// Poses: a person's position and limb angles, as a function of shot kind, action, side and frame.
#include <algorithm>
#include <cmath>

#include "moga/data/story/actor.h"

namespace moga {
namespace {

constexpr float kTurn = 6.2831853f;

// How a kind of shot frames a person: the person's height, the height of the head's centre (0.8 of the person) in the
// picture, the sideways offset in half widths, and the height of a jump in frame heights.
struct Framing {
  float scale, head, offset, jump;
};
Framing framing_of(ShotKind kind, bool together) {
  switch (kind) {
    case ShotKind::medium:
      return {1.12f, 0.40f, 0.42f, 0.05f};
    case ShotKind::close_up:
      return {1.66f, 0.45f, 0.32f, 0.0f};
    case ShotKind::two_shot:
      return {1.0f, 0.41f, 0.45f, 0.05f};
    case ShotKind::pan:
      return {0.66f, 0.385f, 0.45f, 0.0f};
    default:
      return {0.66f, 0.385f, together ? 0.45f : 0.55f, 0.11f};
  }
}

float side_sign(Side side) { return side == Side::left ? -1.0f : side == Side::right ? 1.0f : 0.0f; }

void stride(Pose& pose, float phase, float direction) {
  pose.facing = 0.8f * direction;
  pose.swings = true;
  for (int side = 0; side < 2; ++side) {
    const float swing = std::sin(phase + (side == 0 ? 0.0f : kTurn / 2));
    const float forward = std::cos(phase + (side == 0 ? 0.0f : kTurn / 2));  // positive while the leg is in the air
    pose.thigh[side] = direction * 0.48f * swing;
    pose.shin[side] = direction * (0.48f * swing - 0.15f - 0.75f * std::max(0.0f, forward));
    pose.arm[side] = direction * -0.55f * swing;
    pose.elbow[side] = direction * (0.35f - 0.25f * swing);
  }
  pose.bob = 0.012f * std::cos(2 * phase) - 0.012f;
}

// One walk across the picture, or several if the shot is long. `reach` is the distance covered, from 0 to `passes`.
void walk(Pose& pose, const StoryShot& shot, Side side, int64_t frame, float half_width, bool legs) {
  constexpr int64_t kFramesAPass = 64;
  const auto passes = std::max<int64_t>(1, (shot.frames + kFramesAPass / 2) / kFramesAPass);
  const float reach = static_cast<float>(frame) / static_cast<float>(std::max<int64_t>(1, shot.frames - 1)) *
                      static_cast<float>(passes);
  const float pass = std::min(std::floor(reach), static_cast<float>(passes - 1));
  const bool returns = static_cast<int64_t>(pass) % 2 == 1;
  const float along = returns ? 1 - (reach - pass) : reach - pass;
  const float direction = side == Side::right ? -1.0f : 1.0f;
  const float from = side == Side::middle ? -0.25f : -0.5f, to = side == Side::middle ? 0.25f : 0.15f;
  const float span = legs ? 1.0f : 0.6f;  // a nearer camera shows a shorter path
  pose.u = direction * half_width * span * (from + (to - from) * along);
  const float distance = half_width * (to - from) * reach;
  const float phase = legs ? kTurn * distance / (0.63f * pose.scale) : kTurn * static_cast<float>(frame) / 18;
  stride(pose, phase, returns ? -direction : direction);
}

void wave(Pose& pose, Side side, int64_t frame) {
  const int arm = side == Side::left ? 0 : 1;  // the outer arm
  pose.arm[arm] = 2.05f;
  pose.elbow[arm] = 0.85f + 0.42f * std::sin(kTurn * static_cast<float>(frame) / 20);
  pose.lean = 0.03f * std::sin(kTurn * static_cast<float>(frame) / 40);
}

void jump(Pose& pose, int64_t frame, float height) {
  constexpr int64_t kPeriod = 32, kGather = 8, kAir = 17;
  const auto at = static_cast<float>(frame % kPeriod);
  const float air = (at - kGather) / static_cast<float>(kAir);
  if (air > 0 && air < 1) {
    pose.lift = height * 4 * air * (1 - air);
    for (int side = 0; side < 2; ++side) {
      const float outwards = side == 0 ? -1.0f : 1.0f;
      pose.arm[side] = 0.3f + 1.9f * std::sin(kTurn / 2 * air);
      pose.elbow[side] = 0.3f;
      pose.thigh[side] = outwards * 0.30f * std::sin(kTurn / 2 * air);
      pose.shin[side] = outwards * -0.1f * std::sin(kTurn / 2 * air);
    }
    return;
  }
  const float ground = air <= 0 ? at / kGather : (at - kGather - kAir) / (kPeriod - kGather - kAir);
  pose.crouch = 0.16f * std::sin(kTurn / 2 * std::clamp(ground, 0.0f, 1.0f));
  pose.arm[0] = pose.arm[1] = 0.3f + pose.crouch;
}

}  // namespace

Pose pose_of(const StoryShot& shot, size_t slot, int64_t frame, float half_width) {
  const Framing framing = framing_of(shot.kind, shot.persons.size() > 1);
  const Side side = shot.sides[slot];
  const auto time = static_cast<float>(frame);
  Pose pose;
  pose.scale = framing.scale;
  pose.u = side_sign(side) * framing.offset * half_width;
  pose.v = framing.head + 0.8f * framing.scale;
  pose.shadow = shot.kind == ShotKind::wide || shot.kind == ShotKind::pan;
  pose.bob = 0.006f * std::sin(kTurn * time / 40);
  pose.blinks = (frame + 9 * static_cast<int64_t>(slot)) % 44 >= 41;
  if (shot.kind == ShotKind::pan) {
    stride(pose, kTurn * pan_travel(shot, frame) / (0.63f * pose.scale), side == Side::right ? -1.0f : 1.0f);
    return pose;
  }
  switch (shot.actions[slot]) {
    case Action::walk:
      walk(pose, shot, side, frame, half_width, shot.kind == ShotKind::wide);
      break;
    case Action::wave:
      wave(pose, side, frame);
      break;
    case Action::jump:
      jump(pose, frame, framing.jump / pose.scale);
      break;
    case Action::turn:
      pose.facing = std::sin(kTurn * time / 40);
      break;
    default:
      break;
  }
  return pose;
}

float pan_travel(const StoryShot& shot, int64_t frame) {
  constexpr float kTravel = 0.7f;  // frame heights
  return kTravel * static_cast<float>(frame) / static_cast<float>(std::max<int64_t>(1, shot.frames - 1));
}

}  // namespace moga
