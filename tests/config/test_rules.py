"""The settings' defaults are the engine's; what is set is laid over them."""

from config.rules import engine_rules
from config.settings import Settings
from engine.types import AlarmKind, EngineRules


def test_defaults_are_the_engines_own():
    assert engine_rules(Settings()) == EngineRules()


def test_what_is_set_is_laid_over_the_default():
    rules = engine_rules(
        Settings.model_validate(
            {
                "engine": {
                    "metering_tz": "UTC",
                    "weight_step": "day",
                    "return_temperature": {"on_steps": 3, "deadband_c": 1.5},
                    "hourly_power": {"clear_ratio": 0.9},
                },
                "seasons": [
                    {"valid_from": "2026-01-01", "winter_from": "09-15", "summer_from": "05-15"},
                    {},
                ],
            }
        )
    )
    assert rules.metering_offset_us == 0
    assert rules.weight_by_day
    returning = rules.behaviour[AlarmKind.RETURN_TEMPERATURE]
    assert (returning.on_steps, returning.off_steps, returning.deadband_cc) == (3, 6, 150)
    assert rules.behaviour[AlarmKind.HOURLY_POWER].clear_ratio_permille == 900
    assert [calendar.winter_from for calendar in rules.calendars] == [(10, 1), (9, 15)]
