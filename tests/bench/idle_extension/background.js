// Is woken, and does nothing.
chrome.alarms.onAlarm.addListener(() => {});
